/**
 * A runtime node with ledgers, in a process of its own, over Kafka: no gateway, told what to do by its parent.
 * Owns its end: with its parent's, when it is told, and at the place in the fold where a test wants it.
 */
import { randomBytes } from "node:crypto";
import type { LogRecord, PartitionId, PartitionOwner } from "../../persistence/log.ts";
import { partitionName } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { SNAPSHOTS_TOPIC } from "../../persistence/shared-snapshots.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import type { Behaviour } from "../../runtime/behaviour.ts";
import type { Logger } from "../../runtime/logger.ts";
import { encodeBody } from "../../runtime/message.ts";
import { Node } from "../../runtime/node.ts";
import { ledgerBehaviours } from "./ledger.ts";
import type {
	DeathPoint,
	LedgerCall,
	LedgerNews,
	LedgerProcessOptions,
	LedgerRequest,
	LedgerStatus,
} from "./ledger-protocol.ts";

const options = JSON.parse(process.argv[2] as string) as LedgerProcessOptions;
/** Milliseconds that a process whose id another has taken takes to end. */
const SUCCEEDED_STOP_MS = 5_000;

let death: { point: DeathPoint; entry: string } | undefined;
/** The entry of `snapshot-written` was handled: the next snapshot contains it. */
let handledLast = false;

function say(news: LedgerNews): void {
	// A parent that is gone ends this process by `disconnect`.
	if (process.connected) process.send?.(news);
}

function die(): never {
	process.kill(process.pid, "SIGKILL");
	throw new Error("the signal has ended this process");
}

/** A part with some of its methods replaced; the rest are its own. */
function replacing<Part extends object>(part: Part, own: Partial<Part>): Part {
	return new Proxy(part, {
		get(target, name) {
			const replaced = own[name as keyof Part];
			if (replaced !== undefined) return replaced;
			const value = Reflect.get(target, name, target) as unknown;
			return typeof value === "function" ? value.bind(target) : value;
		},
	});
}

function holds(record: { readonly value: Uint8Array }, entry: string): boolean {
	return Buffer.from(record.value.buffer, record.value.byteOffset, record.value.byteLength).includes(entry);
}

function observed(owner: PartitionOwner): PartitionOwner {
	/** Partitions of which nothing was processed since they were assigned. */
	const fresh = new Set<string>();
	const lastAt = new Map<string, number>();
	const processed = (id: PartitionId, batch: readonly LogRecord[]) => {
		const partition = partitionName(id);
		lastAt.set(partition, Date.now());
		if (!fresh.delete(partition)) return;
		say({ news: "processed", partition, at: Date.now(), offset: (batch[0] as LogRecord).offset });
	};
	return replacing<PartitionOwner>(owner, {
		members(names, isLeader) {
			say({ news: "members", names, at: Date.now() });
			owner.members?.(names, isLeader);
		},
		async assigned(id) {
			const next = await owner.assigned(id);
			fresh.add(partitionName(id));
			say({ news: "assigned", partition: partitionName(id), at: Date.now(), next });
			return next;
		},
		async revoked(id, ...how) {
			await owner.revoked(id, ...how);
			const partition = partitionName(id);
			say({ news: "revoked", partition, at: Date.now(), lastAt: lastAt.get(partition) });
		},
		records(id, batch) {
			if (death?.point === "received" && batch.some((record) => holds(record, death?.entry as string))) die();
			const result = owner.records(id, batch);
			if (result) return result.then(() => processed(id, batch));
			processed(id, batch);
		},
	});
}

function mortal(behaviour: Behaviour): Behaviour {
	return {
		...behaviour,
		command(state, message) {
			const step = behaviour.command(state, message);
			if (death && holds({ value: message.body }, death.entry)) {
				if (death.point === "half-handled") die();
				handledLast = true;
			}
			return step;
		},
	};
}

const log = new KafkaLog({
	brokers: options.brokers.split(","),
	prefix: options.prefix,
	clientId: options.id,
	client: options.client,
	...(options.takeoverAfterMs && { takeoverAfterMs: options.takeoverAfterMs }),
	onOwnerError: (error) => say({ news: "line", level: "error", text: `owner: ${(error as Error).stack}` }),
	onHealth: (health) => say({ news: "line", level: "info", text: `health: ${JSON.stringify(health)}` }),
});
const snapshots = new SqliteSnapshots({ directory: options.dataDir });
const node = new Node({
	id: options.id,
	boot: randomBytes(4).toString("hex"),
	log: replacing(log, {
		own: (topics, owner, ...member) => log.own(topics, observed(owner), ...member),
		async append(id, records) {
			const base = await log.append(id, records);
			// A checkpoint comes last, behind the snapshots that it counts on.
			const isCheckpoint = id.topic === SNAPSHOTS_TOPIC && records.some(({ key }) => key.startsWith("!"));
			if (death?.point === "snapshot-shared" && handledLast && isCheckpoint) die();
			if (death?.point === "effect-done") {
				const { entry } = death;
				// An output is told by its sender.
				if (records.some((record) => record.headers["~f"] !== undefined && holds(record, entry))) die();
			}
			return base;
		},
	}),
	snapshots: replacing(snapshots, {
		save(...checkpoint) {
			snapshots.save(...checkpoint);
			if (death?.point === "snapshot-written" && handledLast) die();
		},
	}),
	behaviours: ledgerBehaviours.map(mortal),
	partitions: options.partitions,
	standbyReplicas: options.standbyReplicas,
	acceptLostRecords: options.acceptLostRecords,
	outlets: { deliver: () => {}, signal: () => {} },
	logger: logger(),
	cluster: true,
	onPlaceLost(error) {
		say({ news: "succeeded", error: error.message });
		void node.stop(SUCCEEDED_STOP_MS).then(() => process.disconnect());
	},
});

function logger(): Logger {
	const at = (level: string) => (fields: Readonly<Record<string, unknown>>, message: string) => {
		const { err, ...rest } = fields;
		const cause = err instanceof Error ? ` ${err.name}: ${err.message}` : "";
		say({ news: "line", level, text: `${message} ${JSON.stringify(rest)}${cause}` });
	};
	return { debug: () => {}, info: at("info"), warn: at("warn"), error: at("error") };
}

function status(): LedgerStatus {
	const { duplicates, expired, query: queries, outputs, snapshotsRebuilt, checkpoints } = node.metrics;
	return {
		name: node.name.text,
		ready: node.ready,
		partitions: node.partitions.map(({ id }) => partitionName(id)),
		duplicates,
		expired,
		queries,
		outputs,
		snapshotsRebuilt,
		checkpoints,
	};
}

async function answer(request: LedgerRequest): Promise<unknown> {
	switch (request.op) {
		case "ask":
			return node.ask(request.to, request.event, { kind: "command", timeoutMs: request.timeoutMs });
		case "query":
			return node.ask(request.to, request.event, { kind: "query", timeoutMs: request.timeoutMs });
		case "tell": {
			const { to, event } = request;
			const draft = { to, kind: "command", type: event.type, body: encodeBody(event) } as const;
			return node.submit(draft, request.timeoutMs);
		}
		case "die-at":
			death = { point: request.point, entry: request.entry };
			return undefined;
		case "status":
			return status();
		case "stop":
			await node.stop(request.deadlineMs);
			return undefined;
	}
}

process.on("message", ({ call, request }: LedgerCall) => {
	answer(request).then(
		(value) => {
			say({ news: "answer", call, ok: true, value });
			if (request.op === "stop") process.disconnect();
		},
		(error: Error & { code?: string }) => {
			say({ news: "answer", call, ok: false, error: `${error.code ?? error.name}: ${error.message}` });
		},
	);
});
process.on("disconnect", () => process.exit(0));

try {
	await node.start();
	say({ news: "started", name: node.name.text });
} catch (error) {
	say({ news: "failed", error: (error as Error).stack ?? String(error) });
	process.exitCode = 1;
	process.disconnect();
}
