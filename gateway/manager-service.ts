/**
 * The manager as a service on the wire: takes calls at its address, runs a method, posts the reply to the
 * caller's mailbox. Owns calls, heartbeats and chunking; what the methods do is manager.ts.
 */
import { decode } from "@msgpack/msgpack";
import { takesNewWork } from "../persistence/log-health.ts";
import type { Address } from "../runtime/address.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import { type Node, RefusedError } from "../runtime/node.ts";
import { ClientCalls } from "./client-calls.ts";
import { type Main, readFrame } from "./frame.ts";
import { MANAGER_ID } from "./gateway.ts";
import { isGuest } from "./guest.ts";
import type { Identity } from "./identity.ts";
import { replyFrame } from "./large-reply.ts";
import { type ManagerContext, managerMethods, managerObject } from "./manager.ts";
import { MessageCache, UNCHUNKED_BYTES_MAX } from "./message-cache.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { FRAME } from "./outgoing.ts";
import { ownMethods } from "./own-services.ts";
import {
	absoluteTargets,
	bindArguments,
	callArguments,
	errorValue,
	frameOf,
	methodValue,
	type PromiseTarget,
	promiseOf,
} from "./rpc-value.ts";

/** Manager calls of one node at once, and of one client; past it calls are rejected. */
const CALLS_UNDER_WAY_MAX = 10_000;
const CALLS_OF_ONE_CLIENT_MAX = 1_000;
/** Time between two signs of life of a call, milliseconds: each is a record, and the caller names the pace. */
const HEARTBEAT_MS_MIN = 500;
const HEARTBEAT_MS_MAX = 60_000;

export interface ManagerParts {
	readonly node: Node;
	readonly metrics: GatewayMetrics;
	readonly clock: Clock;
	readonly logger: Logger;
	/** See ClientCalls. */
	readonly seal: (text: string) => string;
	/** What methods need beside the caller. */
	readonly context: (
		caller: Identity,
		clients: Pick<ManagerContext, "callClient" | "loadOf">,
	) => ManagerContext;
}

/** What a service's object says of a method, and who gave the object. */
export interface HandedMethod {
	readonly provider: string;
	readonly target: string;
	readonly method: string;
}

interface Call {
	readonly caller: Identity;
	/** The manager's address as the caller wrote it: replies must come from exactly there. */
	readonly address: string;
	readonly promise: PromiseTarget | undefined;
}

export class Manager {
	readonly #parts: ManagerParts;
	readonly #clientCalls: ClientCalls;
	readonly #chunks: MessageCache;
	#underWay = 0;
	/** By caller, as far as there are any. */
	readonly #underWayOf = new Map<string, number>();

	constructor(parts: ManagerParts) {
		this.#parts = parts;
		this.#clientCalls = new ClientCalls(parts.node, parts.seal);
		this.#chunks = new MessageCache(() => parts.clock.now());
	}

	/** Of messages that are not complete. */
	get chunkBytes(): number {
		return this.#chunks.bytes;
	}

	/** Whether messages to this address are for a caller without a connection, and so for the server itself. */
	isGuest(workspace: string, client: string): boolean {
		return isGuest(workspace, client, this.#parts.seal);
	}

	/** Resolves when the call has been answered; undefined: it needed no answer. */
	receive(caller: Identity, main: Main, address: string, rest: Uint8Array): Promise<void> | undefined {
		const { method } = main;
		if (main["type"] !== "method" || typeof method !== "string") return undefined;
		let extra: Record<string, unknown>;
		try {
			extra = rest.length > 0 ? (decode(rest) as Record<string, unknown>) : {};
		} catch {
			this.#parts.metrics.refusedFrames.inc({ reason: "malformed" });
			return undefined;
		}
		const args = Array.isArray(extra["args"]) ? extra["args"] : [];
		if (this.#clientCalls.settle(caller.peer, method, args)) return undefined;
		return this.#run({ caller, address, promise: promiseOf(main["session"], extra) }, method, extra);
	}

	/** A method of the manager for a caller without a connection, arguments by name. Throws its words. */
	async call(
		caller: Identity,
		method: string,
		keywords: Readonly<Record<string, unknown>>,
	): Promise<unknown> {
		const extra = { args: [keywords], with_kwargs: true };
		const address = `*/${MANAGER_ID}`;
		return this.#invoke(caller, address, `services.default.${method}`, extra);
	}

	/** A method that a service handed out, in the name of a caller without a connection. Throws its words. */
	async callMethod(
		caller: Identity,
		{ provider, target, method }: HandedMethod,
		keywords: Readonly<Record<string, unknown>>,
		timeoutMs: number,
	): Promise<unknown> {
		if (target === `*/${MANAGER_ID}`) {
			return this.#invoke(caller, target, method, { args: [keywords], with_kwargs: true });
		}
		const slash = target.indexOf("/");
		const workspace = target.slice(0, slash);
		const client = target.slice(slash + 1);
		// Whoever provides a service must not use its callers' rights on others.
		if (target !== provider) throw new Error(`PermissionError: ${provider} handed out a method of ${target}`);
		const calls = this.#clientCalls;
		const { workspace: ws, user, peer: from } = caller;
		const name = { workspace: ws, user, from };
		const value = await calls.callByName(workspace, client, method, keywords, timeoutMs, name);
		return absoluteTargets(value, workspace);
	}

	/** A frame of the server's own to a client, through its mailbox like everything else. */
	post(to: Address, frame: Uint8Array): void {
		this.#parts.node.submit({ to, kind: "frame", type: FRAME, body: frame }).catch((err) => {
			this.#parts.logger.warn({ err, to }, "frame to client not accepted");
		});
	}

	/** To a caller that waits: also while nothing gets into the log, and then on the socket it asked from. */
	#answer(to: Identity, frame: Uint8Array): void {
		if (takesNewWork(this.#parts.node.log.health())) this.post(to.address, frame);
		else to.direct(frame);
	}

	async #run(call: Call, method: string, extra: Record<string, unknown>): Promise<void> {
		const { metrics, clock } = this.#parts;
		const stopBeating = this.#beat(call, clock);
		const { peer } = call.caller;
		this.#underWay++;
		this.#underWayOf.set(peer, (this.#underWayOf.get(peer) ?? 0) + 1);
		try {
			const value = await this.#invoke(call.caller, call.address, method, extra);
			metrics.managerCalls.inc({ outcome: "resolved" });
			if (call.promise) await this.#reply(call, call.promise.resolve, value ?? null);
		} catch (error) {
			metrics.managerCalls.inc({ outcome: "rejected" });
			if (call.promise)
				await this.#reply(call, call.promise.reject, errorValue(this.#errorText(error, method)));
		} finally {
			this.#underWay--;
			const left = (this.#underWayOf.get(peer) ?? 1) - 1;
			if (left > 0) this.#underWayOf.set(peer, left);
			else this.#underWayOf.delete(peer);
			stopBeating();
		}
	}

	async #invoke(
		caller: Identity,
		address: string,
		method: string,
		extra: Record<string, unknown>,
	): Promise<unknown> {
		if (this.#underWay > CALLS_UNDER_WAY_MAX) throw new Error("RuntimeError: the manager is busy, try again");
		if ((this.#underWayOf.get(caller.peer) ?? 0) > CALLS_OF_ONE_CLIENT_MAX) {
			throw new Error(
				`RuntimeError: too many calls of one client are under way (at most ${CALLS_OF_ONE_CLIENT_MAX})`,
			);
		}
		const args = callArguments(extra);
		if (method.startsWith("services.built-in.")) {
			return this.#builtIn(caller, address, method.slice("services.built-in.".length), args.positional);
		}
		const [, service, name = ""] = /^services\.([^.]+)\.(.+)$/.exec(method) ?? [];
		const table = service === "default" ? managerMethods : (ownMethods(service) ?? {});
		const found = Object.hasOwn(table, name) ? table[name] : undefined;
		if (!found) throw new Error(`Method expired or not found: ${caller.peer}:${method}`);
		const bound = bindArguments(name, found.parameters, found.required, args);
		return found.run(bound, this.#context(caller));
	}

	#builtIn(caller: Identity, address: string, name: string, args: readonly unknown[]): unknown {
		const sender = caller.peer;
		const [key, second, third] = args;
		switch (name) {
			case "ping":
				return "pong";
			case "get_service":
				if (key === "default") return managerObject(this.#context(caller));
				if (key === "built-in") return builtInObject(address);
				throw new Error(`KeyError: 'Service not found: ${String(key)}'`);
			case "message_cache.create":
				return this.#chunks.create(sender, String(key));
			case "message_cache.append":
				return this.#chunks.append(sender, String(key), second);
			case "message_cache.set":
				return this.#chunks.set(sender, String(key), Number(second), third);
			case "message_cache.remove":
				return this.#chunks.remove(sender, String(key));
			case "message_cache.process":
				return this.#process(caller, address, this.#chunks.take(sender, String(key)));
			default:
				throw new Error(`Method expired or not found: ${sender}:services.built-in.${name}`);
		}
	}

	/** A message that came in chunks: under the same rules as one that came whole. */
	async #process(caller: Identity, address: string, bytes: Uint8Array): Promise<void> {
		const read = readFrame(bytes);
		if (!read.ok) throw new Error(`ValueError: ${read.reason}`);
		const { main, rest, forged } = read.frame;
		if (forged) throw new Error(`PermissionError: the second segment must not hold "${forged}"`);
		// Not awaited: the chunks have arrived, which is what the caller of this asks; the message answers for itself.
		void this.receive(caller, main, address, rest);
	}

	#context(caller: Identity): ManagerContext {
		const calls = this.#clientCalls;
		return this.#parts.context(caller, {
			callClient: (...call) => calls.call(...call),
			loadOf: (...question) => calls.load(...question),
		});
	}

	async #reply({ caller, address, promise }: Call, method: string, value: unknown): Promise<void> {
		const session = promise?.session as string;
		const main = { type: "method", from: address, to: caller.peer, method, parent: session };
		const frame = await replyFrame(main, value);
		try {
			const { workspace, client } = caller;
			if (frame.length > UNCHUNKED_BYTES_MAX)
				await this.#clientCalls.sendChunked(workspace, client, session, frame);
			else this.#answer(caller, frame);
		} catch (err) {
			this.#parts.logger.warn({ err, to: caller.address }, "large reply not delivered");
		}
	}

	#beat({ caller, address, promise }: Call, clock: Clock): () => void {
		const heartbeat = promise?.heartbeat;
		if (!promise || !heartbeat) return () => {};
		const main = {
			type: "method",
			from: address,
			to: caller.peer,
			method: heartbeat,
			parent: promise.session,
		};
		let cancel = () => {};
		const next = () => {
			// Not a number where the caller gave none: then the least.
			const wantedMs = promise.intervalSeconds * 500 || 0;
			const pauseMs = Math.min(Math.max(wantedMs, HEARTBEAT_MS_MIN), HEARTBEAT_MS_MAX);
			cancel = clock.after(pauseMs, () => {
				this.#answer(caller, frameOf(main));
				next();
			});
		};
		next();
		return () => cancel();
	}

	#errorText(error: unknown, method: string): string {
		const text = error instanceof Error ? error.message : String(error);
		if (!(error instanceof RefusedError))
			this.#parts.logger.debug({ err: error, method }, "manager call rejected");
		return text;
	}
}

/** Enough of a built-in service for clients to send chunks (api_version 3). */
function builtInObject(address: string): Record<string, unknown> {
	const method = (name: string) => methodValue(address, "built-in", name, "");
	return {
		id: "built-in",
		name: "built-in",
		type: "built-in",
		config: { visibility: "public", require_context: true, api_version: 3 },
		ping: method("ping"),
		get_service: method("get_service"),
		message_cache: Object.fromEntries(
			["create", "append", "set", "process", "remove"].map((name) => [name, method(`message_cache.${name}`)]),
		),
	};
}
