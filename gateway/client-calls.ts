/**
 * Calls from the manager to clients, over their mailboxes like everybody's. Owns the sessions of such calls: an answer
 * may arrive at any node and finds its way by the session's name, which is sealed. Without a seal a client could name
 * any ask of any node, and put words into the mouths of actors.
 */
import { randomUUID, timingSafeEqual } from "node:crypto";
import { LOAD_QUESTION } from "../actors/client.ts";
import type { User } from "../actors/user.ts";
import type { ReplyResult } from "../runtime/effect.ts";
import type { Draft, ReplyTo } from "../runtime/message.ts";
import type { Expectation, Node } from "../runtime/node.ts";
import { BUILT_IN_FACT, CHUNK_METHOD_PREFIX } from "./built-in-calls.ts";
import { MANAGER_ID } from "./gateway.ts";
import { clientAddress } from "./identity.ts";
import { chunksOf, UNCHUNKED_BYTES_MAX } from "./message-cache.ts";
import { FRAME } from "./outgoing.ts";
import { frameOf } from "./rpc-value.ts";
import { rootUser } from "./tokens.ts";

const PREFIX = "mgr-";

/** Characters of a seal. */
const SEAL_CHARACTERS = 43;

/** Time a client has for one chunk of a large message, milliseconds. */
const CHUNK_CALL_MS_MAX = 20_000;

/** In whose name a client is called. */
interface CallerOfClient {
	readonly workspace: string;
	readonly user: User;
	/** Address that the client sees and answers to; absent: the manager's. */
	readonly from?: string;
}

/** What comes back for a call. */
interface Answer {
	readonly outcome: "resolve" | "reject";
	readonly value: unknown;
}

export class ClientCalls {
	readonly #node: Node;
	readonly #seal: (text: string) => string;

	/** `seal`: a code that all nodes make alike for a text, and nobody else can. */
	constructor(node: Node, seal: (text: string) => string) {
		this.#node = node;
		this.#seal = seal;
	}

	/** The client's result. Throws what it rejected with, or that it is not connected or did not answer. */
	call(
		workspace: string,
		client: string,
		method: string,
		args: readonly unknown[],
		timeoutMs: number,
		caller?: CallerOfClient,
	): Promise<unknown> {
		return this.#call(workspace, client, method, { args }, timeoutMs, caller);
	}

	/** As `call`, with arguments by name. */
	callByName(
		workspace: string,
		client: string,
		method: string,
		keywords: Readonly<Record<string, unknown>>,
		timeoutMs: number,
		caller: CallerOfClient,
	): Promise<unknown> {
		// Without any, JavaScript would take the empty map for the first argument.
		const extra = Object.keys(keywords).length > 0 ? { args: [keywords], with_kwargs: true } : { args: [] };
		return this.#call(workspace, client, method, extra, timeoutMs, caller);
	}

	/**
	 * Clients refuse frames above a size; their built-in service puts the chunks together (messages.md §8). `session`: of
	 * the client's own call that is answered, which it keeps alive meanwhile; undefined: the frame is a call.
	 */
	async sendChunked(
		workspace: string,
		client: string,
		session: string | undefined,
		frame: Uint8Array,
		/** The client takes the message for the one whose chunks these are. */
		caller?: CallerOfClient,
	): Promise<void> {
		const call = (name: string, ...args: unknown[]) => {
			const method = `services.built-in.message_cache.${name}`;
			return this.call(workspace, client, method, args, CHUNK_CALL_MS_MAX, caller);
		};
		const key = session ?? randomUUID();
		const isAnswer = session !== undefined;
		await call("create", key, isAnswer);
		for (const [index, chunk] of chunksOf(frame).entries()) await call("set", key, index, chunk, isAnswer);
		await call("process", key, isAnswer);
	}

	async #call(
		workspace: string,
		client: string,
		method: string,
		extra: Readonly<Record<string, unknown>>,
		timeoutMs: number,
		caller?: CallerOfClient,
	): Promise<unknown> {
		const peer = `${workspace}/${client}`;
		const expected = this.#node.expect(`${method} of ${peer}`, timeoutMs);
		const from = caller?.from ?? `*/${MANAGER_ID}`;
		const session = this.#sessionOf(expected.replyTo, peer);
		// The client's own workspace makes protected services available to the manager.
		const { workspace: ws, user } = caller ?? { workspace, user: rootUser() };
		const main = { type: "method", from, to: peer, method, session, ws, user };
		const seconds = timeoutMs / 2000;
		const body = frameOf(main, { ...extra, promise: "*", t: seconds });
		if (body.length > UNCHUNKED_BYTES_MAX) {
			await this.sendChunked(workspace, client, undefined, body, caller).catch((error) => {
				expected.forget();
				throw error;
			});
			return answerOf(outcomeOf(await expected.result));
		}
		const result = await this.#ask(expected, {
			to: clientAddress(workspace, client),
			kind: "frame",
			type: FRAME,
			body,
			replyTo: expected.replyTo,
			// So that no client can put chunks of its own among the server's.
			...(method.startsWith(CHUNK_METHOD_PREFIX) ? { facts: { [BUILT_IN_FACT]: "1" } } : undefined),
			expiresAt: Date.now() + timeoutMs,
		});
		return answerOf(result);
	}

	/** Calls the client was given in the last minute, from the session that serves it. */
	load(workspace: string, client: string, timeoutMs: number): Promise<unknown> {
		const expected = this.#node.expect(`load of ${workspace}/${client}`, timeoutMs);
		return this.#ask(expected, {
			to: clientAddress(workspace, client),
			kind: "frame",
			type: LOAD_QUESTION,
			body: new Uint8Array(),
			replyTo: expected.replyTo,
			expiresAt: Date.now() + timeoutMs,
		});
	}

	async #ask(expected: Expectation, question: Draft): Promise<unknown> {
		try {
			await this.#node.submit(question);
		} catch (error) {
			expected.forget();
			throw error;
		}
		return outcomeOf(await expected.result);
	}

	/** True: the frame was an answer (or heartbeat) to a manager's call, and is dealt with. */
	settle(from: string, method: string, args: readonly unknown[]): boolean {
		if (!method.startsWith(PREFIX)) return false;
		const dot = method.lastIndexOf(".");
		const outcome = method.slice(dot + 1);
		if (outcome !== "resolve" && outcome !== "reject") return true;
		const replyTo = this.#replyToOf(method.slice(0, dot), from);
		if (replyTo) {
			const answer: Answer = { outcome, value: args[0] };
			this.#node.answer(replyTo, { ok: true, value: answer });
		}
		return true;
	}

	/** Sessions must not hold dots: clients append `.resolve`. */
	#sessionOf({ node, ask }: ReplyTo, peer: string): string {
		const where = Buffer.from(JSON.stringify([node, ask])).toString("base64url");
		return PREFIX + this.#sealOf(where, peer) + where;
	}

	/** Undefined: not made by a node for a call to this peer. */
	#replyToOf(session: string, peer: string): ReplyTo | undefined {
		const seal = Buffer.from(session.slice(PREFIX.length, PREFIX.length + SEAL_CHARACTERS));
		const where = session.slice(PREFIX.length + SEAL_CHARACTERS);
		const right = Buffer.from(this.#sealOf(where, peer));
		if (seal.length !== right.length || !timingSafeEqual(seal, right)) return undefined;
		const [node, ask] = JSON.parse(Buffer.from(where, "base64url").toString("utf8"));
		return { node, ask };
	}

	#sealOf(where: string, peer: string): string {
		return this.#seal(`call of ${peer}: ${where}`);
	}
}

function outcomeOf(result: ReplyResult): unknown {
	if (!result.ok) throw new Error(result.error);
	return result.value;
}

function answerOf(result: unknown): unknown {
	const { outcome, value } = result as Answer;
	if (outcome === "reject") throw new ClientError(value);
	return value;
}

/** What a client rejected a call with. */
export class ClientError extends Error {
	override readonly name = "ClientError";
	/** With the class of the client's own error in front, where its trace names it: `ValueError: bad input`. */
	readonly line: string;

	constructor(value: unknown) {
		super(errorText(value));
		const trace = (value as { _rtrace?: unknown } | null)?._rtrace;
		const lines = typeof trace === "string" ? trace.split("\n").map((line) => line.trim()) : [];
		this.line =
			lines.findLast((line) => /^[\w.]+: /.test(line) && line.includes(this.message)) ?? this.message;
	}
}

function errorText(value: unknown): string {
	const text = (value as { _rvalue?: unknown } | null)?._rvalue;
	return typeof text === "string" ? text : "the client rejected the call";
}
