/**
 * What one node process asks another that no actor answers: how it is, what only it has stored. Owns the question between
 * nodes and its answer; whoever knows an answer says so here, who asks is node-status.ts and the gateway.
 */
import { ERROR_CATALOGUE, type ErrorCode, MycelogError } from "../persistence/errors.ts";
import type { Event, ReplyTo } from "./message.ts";
import type { Expectation, Node } from "./node.ts";
import type { NodeChannel } from "./node-channel.ts";

/** Where questions go to on a node; no socket has this name. */
export const QUESTIONS_CONNECTION = "~status";

/** What is asked; msgpack must carry it, and the answer. */
export type Question = Readonly<Record<string, unknown>>;

export class NodeQuestions {
	readonly #node: Pick<Node, "answer" | "expect">;
	readonly #channel: Pick<NodeChannel, "sendSignal">;
	readonly #answers = new Map<string, (question: Question) => Promise<unknown>>();

	constructor(node: Pick<Node, "answer" | "expect">, channel: Pick<NodeChannel, "sendSignal">) {
		this.#node = node;
		this.#channel = channel;
	}

	/** This process has an answer to questions of the type. */
	on(type: string, answer: (question: Question) => Promise<unknown>): void {
		this.#answers.set(type, answer);
	}

	/** Another process asks. One that no answer is known to is of a later version: it waits in vain. */
	take(signal: Event): void {
		const to = signal["replyTo"] as ReplyTo;
		const answering = this.#answers.get(signal.type)?.((signal["question"] ?? {}) as Question);
		answering?.then(
			(value) => this.#node.answer(to, { ok: true, value }),
			(error: Error) => this.#node.answer(to, { ok: false, error: errorText(error) }),
		);
	}

	/** `other`: of a process. Rejects as the other one's answer does, with `actor.ask-timeout`, or as the log does. */
	async ask(other: string, type: string, question: Question, withinMs: number): Promise<unknown> {
		const { replyTo, result, forget }: Expectation = this.#node.expect(`${type} to ${other}`, withinMs);
		const outlet = { node: other, connection: QUESTIONS_CONNECTION };
		const sent = this.#channel.sendSignal(outlet, { type, replyTo, question });
		try {
			const reply = await Promise.race([result, sent.then(() => result)]);
			if (reply.ok) return reply.value;
			throw errorOf(reply.error);
		} finally {
			forget();
		}
	}
}

function errorText(error: Error): string {
	return MycelogError.is(error) ? `${error.code}: ${error.message}` : error.message;
}

/** With its code, where the catalogue of this process has it. */
function errorOf(text: string): Error {
	const [, code = "", words = ""] = /^([\w.-]+): (.*)$/s.exec(text) ?? [];
	return Object.hasOwn(ERROR_CATALOGUE, code) ? new MycelogError(code as ErrorCode, words) : new Error(text);
}
