/**
 * What passes from one workspace into another: calls of services that the other one's registry opens to the caller, and
 * whatever two clients say to each other after such a call (messages.md §2). Owns the order in which frames wait for the
 * verdict and how long a verdict holds; who may call what is decided in actors/.
 */
import { addressOf } from "../runtime/address.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Node } from "../runtime/node.ts";
import type { Main } from "./frame.ts";
import { clientAddress, type Identity } from "./identity.ts";
import { ACTOR_ANSWER_MS_MAX } from "./manager-context.ts";

/** A service that was open to a caller is asked about again after this long, milliseconds. */
export const ACCESS_HOLDS_MS = 10_000;
/** Clients of other workspaces that one connection is in talk with; past it the longest idle one is asked about again. */
export const NEIGHBOURS_MAX = 256;
/** Services of one of them that are remembered as open. */
const OPEN_SERVICES_MAX = 64;

const SERVICES = "services.";
const BUILT_IN = "built-in";
/** An object of callbacks that a client handed out: a service of its own, which no registry knows. */
const INTERFACE = "_rintf_";

export interface BorderParts {
	readonly node: Pick<Node, "ask" | "tell">;
	readonly clock: Pick<Clock, "now">;
	readonly logger: Pick<Logger, "debug">;
}

/** A client of another workspace, as one connection knows it. */
interface Neighbour {
	readonly workspace: string;
	readonly client: string;
	readonly peer: string;
	/** Services that are open, each until when. */
	readonly open: Map<string, number>;
	/** They have talked: one of them was allowed to call the other. */
	met: boolean;
	/** Verdicts under way; the frames after them wait, so that order is kept. */
	waiting: Promise<unknown> | undefined;
}

/** Why a frame does not pass; undefined: it does. */
type Verdict = string | undefined;

export class Border {
	readonly #parts: BorderParts;
	/** By connection: what it knows goes with it. */
	readonly #neighbours = new WeakMap<Identity, Map<string, Neighbour>>();

	constructor(parts: BorderParts) {
		this.#parts = parts;
	}

	/**
	 * At once where the answer is known. Verdicts for one target come in the order of their frames. Rejects where nobody
	 * could be asked.
	 */
	verdict(from: Identity, workspace: string, client: string, main: Main): Verdict | Promise<Verdict> {
		const neighbour = this.#neighbour(from, workspace, client);
		const before = neighbour.waiting;
		if (!before && this.#isKnown(neighbour, main)) return undefined;
		const verdict = (before ?? Promise.resolve()).then(() => this.#judge(from, neighbour, main));
		const done = () => {
			if (neighbour.waiting === waiting) neighbour.waiting = undefined;
		};
		const waiting = verdict.then(done, done);
		neighbour.waiting = waiting;
		return verdict;
	}

	#isKnown(neighbour: Neighbour, main: Main): boolean {
		const service = calledService(main);
		if (service === undefined || service === BUILT_IN) {
			if (neighbour.met) return true;
			if (service === undefined) return false;
		}
		return (neighbour.open.get(service) ?? 0) > this.#parts.clock.now();
	}

	async #judge(from: Identity, neighbour: Neighbour, main: Main): Promise<Verdict> {
		if (this.#isKnown(neighbour, main)) return undefined;
		const service = calledService(main);
		if (service === undefined || service === BUILT_IN) {
			neighbour.met = await this.#haveMet(from, neighbour);
			if (neighbour.met) return undefined;
		}
		if (service !== undefined && (await this.#isOpen(from, neighbour, service))) return undefined;
		const { peer } = neighbour;
		return `PermissionError: Target peer ${peer} is not connected or offers nothing to workspace ${from.workspace}`;
	}

	async #haveMet({ address }: Identity, { peer }: Neighbour): Promise<boolean> {
		const asked = { kind: "query", timeoutMs: ACTOR_ANSWER_MS_MAX } as const;
		return (await this.#parts.node.ask(address, { type: "client.hasMet", peer }, asked)) === true;
	}

	async #isOpen(from: Identity, neighbour: Neighbour, service: string): Promise<boolean> {
		const { node, clock } = this.#parts;
		const { workspace, client, user } = from;
		const caller = { workspace, client, user };
		const question = { type: "service.access", caller, client: neighbour.client, service };
		const asked = { kind: "query", timeoutMs: ACTOR_ANSWER_MS_MAX } as const;
		if ((await node.ask(addressOf("workspace", neighbour.workspace), question, asked)) !== true) return false;
		const { open } = neighbour;
		open.delete(service);
		open.set(service, clock.now() + ACCESS_HOLDS_MS);
		if (open.size > OPEN_SERVICES_MAX) open.delete(open.keys().next().value as string);
		if (!neighbour.met) this.#introduce(from, neighbour);
		return true;
	}

	/**
	 * Both actors remember, so that answers and callbacks pass wherever the two come back to. The called one's note lies
	 * in its mailbox before the call does.
	 */
	#introduce(from: Identity, neighbour: Neighbour): void {
		const { node, logger } = this.#parts;
		neighbour.met = true;
		const called = clientAddress(neighbour.workspace, neighbour.client);
		const told = [
			node.tell(called, { type: "client.met", peer: from.peer }),
			node.tell(from.address, { type: "client.met", peer: neighbour.peer }),
		];
		Promise.all(told).catch((err) => {
			neighbour.met = false;
			logger.debug({ err, peer: neighbour.peer }, "two clients were not introduced; the next call does it");
		});
	}

	#neighbour(from: Identity, workspace: string, client: string): Neighbour {
		let all = this.#neighbours.get(from);
		if (!all) {
			all = new Map();
			this.#neighbours.set(from, all);
		}
		const peer = `${workspace}/${client}`;
		const known = all.get(peer) ?? {
			workspace,
			client,
			peer,
			open: new Map(),
			met: false,
			waiting: undefined,
		};
		// The longest idle one is first.
		all.delete(peer);
		all.set(peer, known);
		if (all.size > NEIGHBOURS_MAX) forgetFirstIdle(all);
		return known;
	}
}

/** One whose frames still wait must keep its place, or later ones would overtake them. */
function forgetFirstIdle(all: Map<string, Neighbour>): void {
	for (const [peer, { waiting }] of all) {
		if (waiting) continue;
		all.delete(peer);
		return;
	}
}

/** Undefined: an event, or a callback of a session or an object. */
function calledService({ type, method }: Main): string | undefined {
	if (type !== "method" || typeof method !== "string" || !method.startsWith(SERVICES)) return undefined;
	const end = method.indexOf(".", SERVICES.length);
	const service = method.slice(SERVICES.length, end < 0 ? undefined : end);
	return service.startsWith(INTERFACE) ? undefined : service;
}
