/**
 * Calls from the manager to clients, over their mailboxes like everybody's. Owns the sessions of such calls;
 * an answer may arrive at any node and finds its way by the session's name.
 */
import { randomBytes } from "node:crypto";
import type { ReplyTo } from "../runtime/message.ts";
import type { Node } from "../runtime/node.ts";
import { BUILT_IN_FACT, CHUNK_METHOD_PREFIX } from "./built-in-calls.ts";
import { MANAGER_ID } from "./gateway.ts";
import { clientAddress } from "./identity.ts";
import { FRAME } from "./outgoing.ts";
import { frameOf } from "./rpc-value.ts";
import { rootUser } from "./tokens.ts";

const PREFIX = "mgr-";

/** What comes back for a call, with the facts that prove it was the callee who sent it. */
interface Answer {
	readonly nonce: string;
	readonly from: string;
	readonly outcome: "resolve" | "reject";
	readonly value: unknown;
}

export class ClientCalls {
	readonly #node: Node;

	constructor(node: Node) {
		this.#node = node;
	}

	/** The client's result. Throws what it rejected with, or that it is not connected or did not answer. */
	async call(
		workspace: string,
		client: string,
		method: string,
		args: readonly unknown[],
		timeoutMs: number,
	): Promise<unknown> {
		const peer = `${workspace}/${client}`;
		const expected = this.#node.expect(`${method} of ${peer}`, timeoutMs);
		const nonce = randomBytes(9).toString("base64url");
		const from = `*/${MANAGER_ID}`;
		const session = sessionOf(expected.replyTo, nonce);
		// The client's own workspace makes protected services available to the manager.
		const main = { type: "method", from, to: peer, method, session, ws: workspace, user: rootUser() };
		const seconds = timeoutMs / 2000;
		try {
			await this.#node.submit({
				to: clientAddress(workspace, client),
				kind: "frame",
				type: FRAME,
				body: frameOf(main, { args, promise: "*", t: seconds }),
				replyTo: expected.replyTo,
				// So that no client can put chunks of its own among the server's.
				...(method.startsWith(CHUNK_METHOD_PREFIX) ? { facts: { [BUILT_IN_FACT]: "1" } } : undefined),
				expiresAt: Date.now() + timeoutMs,
			});
		} catch (error) {
			expected.forget();
			throw error;
		}
		const result = await expected.result;
		if (!result.ok) throw new Error(result.error);
		const answer = result.value as Answer;
		if (answer.nonce !== nonce || answer.from !== peer)
			throw new Error(`the answer of ${peer} was not its own`);
		if (answer.outcome === "reject") throw new Error(errorText(answer.value));
		return answer.value;
	}

	/** True: the frame was an answer (or heartbeat) to a manager's call, and is dealt with. */
	settle(from: string, method: string, args: readonly unknown[]): boolean {
		if (!method.startsWith(PREFIX)) return false;
		const dot = method.lastIndexOf(".");
		const target = replyToOf(method.slice(0, dot));
		const outcome = method.slice(dot + 1);
		if (target && (outcome === "resolve" || outcome === "reject")) {
			const answer: Answer = { nonce: target.nonce, from, outcome, value: args[0] };
			this.#node.answer(target.replyTo, { ok: true, value: answer });
		}
		return true;
	}
}

/** Sessions must not hold dots: clients append `.resolve`. */
function sessionOf({ node, ask }: ReplyTo, nonce: string): string {
	return PREFIX + Buffer.from(JSON.stringify([node, ask, nonce])).toString("base64url");
}

function replyToOf(session: string): { replyTo: ReplyTo; nonce: string } | undefined {
	try {
		const [node, ask, nonce] = JSON.parse(
			Buffer.from(session.slice(PREFIX.length), "base64url").toString("utf8"),
		);
		if ([node, ask, nonce].some((part) => typeof part !== "string")) return undefined;
		return { replyTo: { node, ask }, nonce };
	} catch {
		return undefined;
	}
}

function errorText(value: unknown): string {
	const text = (value as { _rvalue?: unknown } | null)?._rvalue;
	return typeof text === "string" ? text : "the client rejected the call";
}
