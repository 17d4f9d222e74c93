/**
 * Every binary frame from a client: whose it is, where it goes, what it may say. Then into a mailbox.
 * Owns the overwriting of identity fields; the payload segment passes byte for byte.
 */
import { suffices } from "../actors/permission.ts";
import { MycelogError } from "../persistence/errors.ts";
import { addressOf } from "../runtime/address.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Draft } from "../runtime/message.ts";
import type { Node } from "../runtime/node.ts";
import { Border } from "./border.ts";
import { BUILT_IN_FACT, BUILT_IN_PREFIX } from "./built-in-calls.ts";
import { type Frame, type Main, readFrame, stampedFrame } from "./frame.ts";
import type { FrameTraces } from "./frame-traces.ts";
import { clientAddress, type Identity } from "./identity.ts";
import type { Manager } from "./manager-service.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { FRAME } from "./outgoing.ts";
import { isServerType, serverTypeText } from "./reserved.ts";
import { rejectFrame } from "./rpc-value.ts";

/** A call whose caller names no time is worth delivering this long, milliseconds (the clients' default). */
export const CALL_EXPIRY_MS_DEFAULT = 30_000;

/** Characters of a frame's target, type and session: they become an address and headers of its record. */
const ROUTING_CHARACTERS_MAX = 1_024;

export interface RouterParts {
	readonly node: Node;
	readonly manager: Manager;
	readonly metrics: GatewayMetrics;
	readonly traces?: FrameTraces | undefined;
	readonly clock: Clock;
	readonly logger: Logger;
}

export class Router {
	readonly #parts: RouterParts;
	readonly #border: Border;

	constructor(parts: RouterParts) {
		this.#parts = parts;
		this.#border = new Border(parts);
	}

	/** Resolves when the frame has been taken or refused; undefined: it was at once. */
	route(from: Identity, bytes: Uint8Array): Promise<void> | undefined {
		const read = readFrame(bytes);
		if (!read.ok) {
			this.#refused("malformed");
			return undefined;
		}
		const { frame } = read;
		const { main, forged } = frame;
		const { to, type } = main;
		if (!isRoutable(to) || to === "" || !isRoutable(type) || tooLong(main["session"])) {
			this.#refused("malformed");
			return undefined;
		}
		if (isServerType(type)) {
			this.#refused("forged");
			this.#reject(from, main, to, serverTypeText(type));
			return undefined;
		}
		if (forged) {
			this.#refused("forged");
			this.#reject(from, main, to, `PermissionError: the second segment must not hold "${forged}"`);
			return undefined;
		}
		const { traces } = this.#parts;
		if (!traces) return this.#take(from, frame, to);
		return traces.received(from.address, main, to, (trace) => this.#take(from, frame, to, trace));
	}

	#take(from: Identity, frame: Frame, to: string, trace?: string): Promise<void> | undefined {
		if (to.startsWith("*/")) return this.#parts.manager.receive(from, frame.main, to, frame.rest);
		if (to === "*" || to.endsWith("/*")) return this.#broadcast(from, frame, to, trace);
		return this.#direct(from, frame, to, trace);
	}

	#direct(from: Identity, frame: Frame, to: string, trace?: string): Promise<void> | undefined {
		const { main } = frame;
		const absolute = to.includes("/") ? to : `${from.workspace}/${to}`;
		const slash = absolute.indexOf("/");
		const client = absolute.slice(slash + 1);
		if (slash < 1 || client === "" || client.includes("/")) {
			this.#refused("bad-target");
			this.#reject(
				from,
				main,
				to,
				`ValueError: "${to.slice(0, 80)}" is no target; write client or workspace/client`,
			);
			return undefined;
		}
		const workspace = absolute.slice(0, slash);
		if (this.#parts.manager.isGuest(workspace, client)) {
			return this.#parts.manager.receive(from, main, to, frame.rest);
		}
		const session = typeof main["session"] === "string" ? main["session"] : undefined;
		// Before anything is waited for: the frame's bytes are the socket library's.
		const draft: Draft = {
			to: clientAddress(workspace, client),
			kind: "frame",
			type: FRAME,
			from: from.address,
			body: stampedFrame(frame, absolute, from.stamp),
			...factsOf(main, session, to),
			...(trace ? { trace } : undefined),
			...(session ? { expiresAt: this.#expiry(frame) } : undefined),
		};
		if (workspace === from.workspace) return this.#submit(from, main, draft);
		const pass = (refusal: string | undefined) => {
			if (refusal === undefined) return this.#submit(from, main, draft);
			this.#refused("border");
			this.#reject(from, main, to, refusal);
			return undefined;
		};
		const verdict = this.#border.verdict(from, workspace, client, main);
		if (!(verdict instanceof Promise)) return pass(verdict);
		return verdict.then(pass, (error) => this.#notAccepted(from, main, to, error));
	}

	#submit(from: Identity, main: Main, draft: Draft): Promise<void> {
		const failed = (error: unknown) => this.#notAccepted(from, main, String(main["to"]), error);
		return this.#parts.node.submit(draft).then(ignore, failed);
	}

	#broadcast(from: Identity, frame: Frame, to: string, trace?: string): Promise<void> | undefined {
		const { main } = frame;
		const workspace = to === "*" ? from.workspace : to.slice(0, -2);
		if (workspace !== from.workspace || !suffices(from.permission, "broadcast")) {
			this.#refused("forbidden");
			this.#reject(from, main, to, `PermissionError: Permission denied for workspace ${workspace}`);
			return undefined;
		}
		return this.#submit(from, main, {
			to: addressOf("workspace", workspace),
			kind: "frame",
			type: FRAME,
			from: from.address,
			body: stampedFrame(frame, `${workspace}/*`, from.stamp),
			facts: { event: String(main["type"]) },
			...(trace ? { trace } : undefined),
		});
	}

	#expiry({ timeoutMs = CALL_EXPIRY_MS_DEFAULT }: Frame): number {
		return this.#parts.clock.now() + timeoutMs;
	}

	#notAccepted(from: Identity, main: Main, to: string, error: unknown): void {
		this.#refused("not-durable");
		// Of these there may be thousands a second; the log's state has its line and they have their counter.
		const isKnown = MycelogError.is(error, "log.unavailable");
		if (!isKnown) this.#parts.logger.warn({ err: error, from: from.address, to }, "frame not accepted");
		const { session } = main;
		if (typeof session !== "string") return;
		const message = `RuntimeError: the message was not accepted: ${(error as Error).message}`;
		// What the log did not take of the caller, it would not take for the caller either.
		from.direct(rejectFrame({ session, from: to, to: from.peer, message }));
	}

	/** What to answer a frame that is not taken; undefined: nobody waits for it. */
	rejectionOf(from: Identity, bytes: Uint8Array, message: string): Uint8Array | undefined {
		const read = readFrame(bytes);
		if (!read.ok) return undefined;
		const { to, session } = read.frame.main;
		if (typeof session !== "string" || typeof to !== "string" || tooLong(session) || tooLong(to))
			return undefined;
		return rejectFrame({ session, from: to, to: from.peer, message });
	}

	/** Tell a caller that waits; a notice has nobody to tell. */
	#reject(from: Identity, main: Main, to: string, message: string): void {
		const { session } = main;
		if (typeof session !== "string") return;
		this.#parts.manager.post(from.address, rejectFrame({ session, from: to, to: from.peer, message }));
	}

	#refused(reason: string): void {
		this.#parts.metrics.refusedFrames.inc({ reason });
	}
}

/** What others must know of a frame without reading it: where its caller waits, and that it may bring chunks. */
function factsOf(
	{ method }: Main,
	session: string | undefined,
	target: string,
): { readonly facts?: Readonly<Record<string, string>> } {
	const builtIn = typeof method === "string" && method.startsWith(BUILT_IN_PREFIX);
	if (!builtIn) return session ? { facts: { session, target } } : {};
	return { facts: { [BUILT_IN_FACT]: "1", ...(session ? { session, target } : undefined) } };
}

function ignore(): void {}

function isRoutable(value: unknown): value is string {
	return typeof value === "string" && !tooLong(value);
}

function tooLong(value: unknown): boolean {
	return typeof value === "string" && value.length > ROUTING_CHARACTERS_MAX;
}
