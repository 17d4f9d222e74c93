/**
 * One member of a Kafka group: joining, heartbeats, leaving, and whether its place in the group still holds.
 * Owns the group's protocol and this member's lease; who gets what is placement.ts, its hand-over kafka-membership.ts.
 *
 * Why not kafkajs' consumer: it stops everything for a rebalance, does not wait for what a member must make safe
 * before another goes on, and a frozen member finds out late that the group went on without it.
 */
import { MycelogError } from "./errors.ts";
import type { GroupCoordinator, JoinResponse, KafkaCluster } from "./kafka-cluster.ts";
import type { KafkaProgress } from "./kafka-progress.ts";
import type { Member } from "./log.ts";
import { place } from "./placement.ts";

/** The least that brokers allow by default, milliseconds without a heartbeat after which a group goes on without a member. */
export const SESSION_MS_LEAST = 6_000;
/** Between two heartbeats, milliseconds: also how long a member may not know that the others wait for it. */
const HEARTBEAT_MS = 300;
/** Between two tries after a failure, milliseconds. */
const RETRY_MS = 300;
/** Not Kafka's own "consumer": what members own is told by this project's words. */
const PROTOCOL_TYPE = "mycelog";
const PROTOCOL = "mycelog-1";
/** The group can never be joined as it is; trying again does not help. */
const FINAL = new Set([
	"GROUP_AUTHORIZATION_FAILED",
	"INCONSISTENT_GROUP_PROTOCOL",
	"INVALID_GROUP_ID",
	"INVALID_SESSION_TIMEOUT",
]);

/** What the newest generation says. */
export interface Assignment {
	/** Partition numbers, of every topic. */
	readonly numbers: readonly number[];
	/** All members that count. */
	readonly members: readonly Pick<Member, "id" | "name">[];
	readonly isLeader: boolean;
}

interface Claim extends Member {
	readonly owned: readonly number[];
	/** It stops: it counts, since clients are still connected to it, and gets nothing. */
	readonly stopping: boolean;
}

export interface GroupParts {
	/** With a connection of its own: a join holds it up until everybody has joined. */
	readonly cluster: KafkaCluster;
	/** As `cluster`, for what must be said meanwhile. */
	readonly apart: <T>(work: (cluster: KafkaCluster) => Promise<T>) => Promise<T>;
	/** Milliseconds without a sign of life after which a member loses its place. */
	readonly silenceMs: number;
	readonly group: string;
	readonly member: Member;
	/** Partitions of the topics that are shared. */
	readonly partitions: number;
	readonly progress: KafkaProgress;
	/** Partition numbers held at present, those that are being let go of included. */
	readonly owned: () => readonly number[];
	readonly onAssigned: (assignment: Assignment) => void;
	/** The group still counts this member, which had reason to doubt it. */
	readonly onHeld: () => void;
	/** The group went on without this member. Resolves to whether it may join again. */
	readonly onExpelled: () => Promise<boolean>;
}

export class KafkaGroup {
	readonly #parts: GroupParts;
	#coordinator: GroupCoordinator | undefined;
	#memberId = "";
	#running: Promise<void> | undefined;
	#wake: () => void = () => {};
	#rejoin = false;
	#stopping = false;
	#onStopping: () => void = () => {};
	/** The group went on without this member, which has not dealt with it yet. */
	#expelled = false;
	/** No earlier process of this node is left in the group. */
	#alone = false;
	#closed = false;
	#joining = false;
	/** When the coordinator was last heard of, or a join under way kept this member alive; performance.now(). */
	#heardAt = 0;
	#ticks: NodeJS.Timeout | undefined;
	/** Who waits for the coordinator, and since when; at most one a partition. */
	#unconfirmed: { readonly after: number; readonly resolve: () => void }[] = [];

	constructor(parts: GroupParts) {
		this.#parts = parts;
	}

	/** Resolves with the first assignment. Rejects with `log.group-refused`. */
	async join(): Promise<void> {
		this.#heardAt = performance.now();
		this.#ticks = setInterval(() => this.#tick(), HEARTBEAT_MS);
		await new Promise<void>((resolve, reject) => {
			this.#running = this.#run(resolve).catch((error: Error) => {
				this.#parts.progress.stopped(error.message);
				reject(error);
			});
		});
	}

	/** Resolves once the coordinator has answered a question that is asked after now: this is still a member. */
	confirmed(): Promise<void> {
		return new Promise((resolve) => this.#unconfirmed.push({ after: performance.now(), resolve }));
	}

	/** Something was let go of, so that there is something to give. */
	rejoin(): void {
		this.#rejoin = true;
		this.#wake();
	}

	/** Get nothing any more; the others still count this member. Resolves when they know. */
	async retire(): Promise<void> {
		const known = new Promise<void>((resolve) => {
			this.#onStopping = resolve;
		});
		this.#stopping = true;
		this.rejoin();
		await known;
	}

	/** The others go on at once, without waiting for the session to end. */
	async leave(): Promise<void> {
		this.#closed = true;
		this.#wake();
		clearInterval(this.#ticks);
		const memberId = this.#memberId;
		if (memberId !== "") {
			const left = this.#parts.apart((cluster) =>
				this.#takeOut(cluster, (member) => member.memberId === memberId),
			);
			await Promise.allSettled([left]);
		}
		await this.#parts.cluster.disconnect();
		await this.#running;
	}

	/** The process of this node is dead, as far as anybody can tell: nobody need wait until its session ends. */
	async evict(id: string): Promise<void> {
		await this.#parts.apart((cluster) => this.#takeOut(cluster, ({ clientId }) => clientId === id));
		this.rejoin();
	}

	/** False: the group may have gone on without this member, and only its coordinator knows. */
	get holds(): boolean {
		return performance.now() - this.#heardAt <= this.#parts.silenceMs;
	}

	/** A join holds the session of everybody who waits in it; a process that was frozen meanwhile has not waited. */
	#tick(): void {
		if (this.#joining && this.holds) this.#heardAt = performance.now();
	}

	async #run(onFirst: () => void): Promise<void> {
		while (!this.#closed) {
			try {
				this.#rejoin = false;
				if (this.#expelled && !(await this.#parts.onExpelled())) {
					this.#parts.progress.stopped("another process has taken this member's place");
					return;
				}
				this.#expelled = false;
				if (!this.#alone) await this.#evictPredecessors();
				const generation = await this.#joinOnce();
				onFirst();
				await this.#heartbeats(generation);
			} catch (cause) {
				if (this.#closed) return;
				await this.#failed(cause as Error & { type?: string });
			}
		}
	}

	async #failed(cause: Error & { type?: string }): Promise<void> {
		const { type = "", message } = cause;
		if (FINAL.has(type)) {
			const text = `Kafka refuses group "${this.#parts.group}" to this node: ${message}`;
			throw new MycelogError("log.group-refused", text, { group: this.#parts.group }, { cause });
		}
		if (type === "REBALANCE_IN_PROGRESS") return;
		if (type === "UNKNOWN_MEMBER_ID" || type === "ILLEGAL_GENERATION") {
			this.#memberId = "";
			this.#expelled = true;
			return;
		}
		this.#coordinator = undefined;
		this.#parts.progress.failed(message);
		await this.#pause(RETRY_MS);
		await this.#parts.cluster.refreshMetadata().catch(() => {
			// The next try meets the same trouble and reports it.
		});
	}

	async #joinOnce(): Promise<number> {
		const { group: groupId, member, owned } = this.#parts;
		const coordinator = await this.#findCoordinator();
		const stopping = this.#stopping;
		const claim: Claim = { ...member, owned: owned(), stopping };
		const metadata = Buffer.from(JSON.stringify(claim));
		this.#joining = true;
		try {
			const joined = await coordinator.joinGroup({
				groupId,
				sessionTimeout: this.#sessionMs,
				rebalanceTimeout: this.#sessionMs,
				memberId: this.#memberId,
				protocolType: PROTOCOL_TYPE,
				groupProtocols: [{ name: PROTOCOL, metadata }],
			});
			const { generationId, memberId } = joined;
			this.#memberId = memberId;
			const isLeader = joined.leaderId === memberId;
			const groupAssignment = isLeader ? assignmentsOf(joined, this.#parts.partitions) : [];
			const sentAt = performance.now();
			const synced = await coordinator.syncGroup({ groupId, generationId, memberId, groupAssignment });
			this.#heard(sentAt);
			this.#parts.onAssigned({ ...decode(synced.memberAssignment), isLeader });
			if (stopping) this.#onStopping();
			return generationId;
		} finally {
			this.#joining = false;
		}
	}

	async #heartbeats(groupGenerationId: number): Promise<void> {
		const coordinator = await this.#findCoordinator();
		while (!this.#rejoin && !this.#closed) {
			await this.#pause(HEARTBEAT_MS);
			if (this.#rejoin || this.#closed) return;
			const sentAt = performance.now();
			await coordinator.heartbeat({
				groupId: this.#parts.group,
				groupGenerationId,
				memberId: this.#memberId,
			});
			this.#heard(sentAt);
		}
	}

	/** Counted from when the question left: the answer may have lain in a frozen process for hours. */
	#heard(sentAt: number): void {
		const doubted = !this.holds;
		this.#heardAt = sentAt;
		this.#parts.progress.heard();
		if (doubted && this.holds) this.#parts.onHeld();
		const answered = this.#unconfirmed.filter(({ after }) => after <= sentAt);
		this.#unconfirmed = this.#unconfirmed.filter(({ after }) => after > sentAt);
		for (const { resolve } of answered) resolve();
	}

	/** Processes of this node that died. One that lives is told by its topic. */
	async #evictPredecessors(): Promise<void> {
		const { cluster, member } = this.#parts;
		await this.#takeOut(cluster, ({ clientId }) => clientId === member.id);
		this.#alone = true;
	}

	async #takeOut(
		cluster: KafkaCluster,
		isMeant: (member: { readonly memberId: string; readonly clientId: string }) => boolean,
	): Promise<void> {
		const groupId = this.#parts.group;
		const coordinator = await cluster.findGroupCoordinator({ groupId });
		const { groups } = await coordinator.describeGroups({ groupIds: [groupId] });
		const meant = groups.flatMap(({ members }) => members).filter(isMeant);
		await Promise.all(
			meant.map(async ({ memberId }) => {
				try {
					await coordinator.leaveGroup({ groupId, memberId });
				} catch (cause) {
					// It has gone already.
					if ((cause as { type?: string }).type !== "UNKNOWN_MEMBER_ID") throw cause;
				}
			}),
		);
	}

	get #sessionMs(): number {
		return Math.max(this.#parts.silenceMs, SESSION_MS_LEAST);
	}

	async #findCoordinator(): Promise<GroupCoordinator> {
		this.#coordinator ??= await this.#parts.cluster.findGroupCoordinator({ groupId: this.#parts.group });
		return this.#coordinator;
	}

	#pause(ms: number): Promise<void> {
		return new Promise((resolve) => {
			const timer = setTimeout(resolve, ms);
			this.#wake = () => {
				clearTimeout(timer);
				resolve();
			};
		});
	}
}

/** Of two processes of one node the one that started later counts; the other gets nothing. */
function assignmentsOf(
	{ members }: JoinResponse,
	partitions: number,
): { memberId: string; memberAssignment: Buffer }[] {
	const claims = members.map(({ memberId, memberMetadata }) => {
		return { memberId, claim: JSON.parse(memberMetadata.toString()) as Claim };
	});
	const newest = new Map<string, Claim>();
	for (const { claim } of claims) {
		const known = newest.get(claim.id);
		if (!known || known.since < claim.since) newest.set(claim.id, claim);
	}
	const counted = [...newest.values()];
	const { assigned } = place(
		counted.filter(({ stopping }) => !stopping),
		partitions,
	);
	const known = counted.map(({ id, name }) => ({ id, name }));
	return claims.map(({ memberId, claim }) => {
		const numbers = assigned.get(claim.name) ?? [];
		return { memberId, memberAssignment: Buffer.from(JSON.stringify({ numbers, members: known })) };
	});
}

function decode(assignment: Buffer): Omit<Assignment, "isLeader"> {
	if (assignment.length === 0) throw new Error("the group's leader has assigned nothing to this member");
	return JSON.parse(assignment.toString()) as Omit<Assignment, "isLeader">;
}
