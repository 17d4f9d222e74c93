/**
 * A running node as operators' commands ask it: over its HTTP routes, with a token that comes by environment or file.
 * Owns addresses, the token and what an answer that is no answer means; the token is in no argument, URL or message.
 */
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import { createInterface } from "node:readline";
import type { Readable } from "node:stream";
import { ERROR_CATALOGUE, type ErrorCode, MycelogError } from "../persistence/errors.ts";
import type { ScanProgress } from "../runtime/operator.ts";
import { NodePulse } from "./node-pulse.ts";
import { type LongRequest, longRequest, textOf } from "./node-streams.ts";
import { OPERATOR_TOKEN_VARIABLE } from "./options.ts";
import { progressBar } from "./progress.ts";

/** A retry at a rate takes its time, milliseconds. */
const ANSWER_MS_MAX = 60_000;
/** A node that is followed says something every ten seconds, milliseconds. */
const FOLLOW_SILENCE_MS = 30_000;

export interface NodeFlags {
	/** Address of its HTTP, base path included. */
	readonly node?: string;
	readonly tokenFile?: string;
}

export type Parameters = Readonly<Record<string, string | number | boolean | undefined>>;

interface Refusal {
	readonly detail?: string;
	readonly code?: string;
	/** Of an index that is not up to date yet. */
	readonly progress?: ScanProgress;
}

export class NodeClient {
	readonly url: URL;
	readonly #token: string;

	private constructor(url: URL, token: string) {
		this.url = url;
		this.#token = token;
	}

	/** Undefined: no node was named. Throws `config.invalid-value`. */
	static of(
		{ node, tokenFile }: NodeFlags,
		environment: Readonly<Partial<Record<string, string>>>,
	): NodeClient | undefined {
		if (node === undefined) return undefined;
		const text = node.includes("://") ? node : `http://${node}`;
		if (!URL.canParse(text) || !/^https?:$/.test(new URL(text).protocol)) {
			throw invalid(`--node cannot be "${node}": it must be like http://127.0.0.1:9527`);
		}
		const token = tokenFile === undefined ? environment[OPERATOR_TOKEN_VARIABLE] : tokenIn(tokenFile);
		if (!token)
			throw invalid(`a node is only asked with a token: set ${OPERATOR_TOKEN_VARIABLE} or --token-file`);
		return new NodeClient(new URL(text), token);
	}

	get<Answer>(path: string, parameters: Parameters = {}): Promise<Answer> {
		return this.#ask(`${path}${queryOf(parameters)}`, { method: "GET" });
	}

	post<Answer>(path: string, body: Readonly<Record<string, unknown>>): Promise<Answer> {
		const headers = { "content-type": "application/json" };
		return this.#ask(path, { method: "POST", body: JSON.stringify(body), headers });
	}

	/** The items of a list, page by page; `on` names the parameter that `next` of a page goes into. */
	async *list<Item>(
		path: string,
		parameters: Parameters,
		{ items, on, limit, page }: { items: string; on: string; limit: number; page: number },
	): AsyncGenerator<Item> {
		let left = limit;
		let next: string | number | undefined;
		while (left > 0) {
			const asked = {
				...parameters,
				limit: Math.min(left, page),
				...(next === undefined ? undefined : { [on]: next }),
			};
			const answer = await this.get<Readonly<Record<string, unknown>>>(path, asked);
			const found = answer[items] as readonly Item[];
			yield* found;
			left -= found.length;
			next = answer["next"] as typeof next;
			if (next === undefined) return;
		}
	}

	/** Lines of JSON as the node sends them, without their ends. `follow`: they have no end. */
	async *lines(path: string, parameters: Parameters, { follow = false } = {}): AsyncGenerator<string> {
		const silence = follow ? { silenceMs: FOLLOW_SILENCE_MS } : undefined;
		const response = await this.#long(`${path}${queryOf(parameters)}`, silence ?? {});
		try {
			for await (const line of createInterface({ input: response, crlfDelay: Number.POSITIVE_INFINITY })) {
				if (line === "") continue;
				if (line.startsWith('{"error":')) {
					throw this.#refusal(500, (JSON.parse(line) as { readonly error: Refusal }).error);
				}
				yield line;
			}
			if (!response.complete) throw new Error("the answer was cut off");
		} catch (error) {
			throw MycelogError.is(error) ? error : this.#unreachable(error as Error);
		} finally {
			response.destroy();
		}
	}

	/** A file behind a line of fields. However long it takes: the node reads all of it before it does anything. */
	async upload<Answer>(path: string, body: Readable): Promise<Answer> {
		const response = await this.#long(path, { body });
		const text = await textOf(response).catch((error) => {
			throw this.#unreachable(error as Error);
		});
		const answer = parsed(text);
		if (answer !== undefined) return answer as Answer;
		throw this.#refusal(response.statusCode ?? 0, {});
	}

	async #long(path: string, parts: Omit<LongRequest, "token">): Promise<IncomingMessage> {
		let response: IncomingMessage;
		try {
			response = await longRequest(this.#at(path), { token: this.#token, ...parts });
		} catch (error) {
			throw MycelogError.is(error) ? error : this.#unreachable(error as Error);
		}
		const { statusCode = 0 } = response;
		if (statusCode === 200) return response;
		const text = await textOf(response).catch(() => "");
		// What of a body was not taken yet is not sent any more.
		response.destroy();
		throw this.#refusal(statusCode, (parsed(text) ?? {}) as Refusal);
	}

	#at(path: string): URL {
		return new URL(`${this.url.href.replace(/\/$/, "")}/operator/api/${path}`);
	}

	/** Asked again while the node's history index is behind: it says how far it is every two seconds. */
	async #ask<Answer>(path: string, request: RequestInit): Promise<Answer> {
		const bar = progressBar("records");
		try {
			for (;;) {
				const { status, text } = await this.#answer(path, request);
				const answer = parsed(text);
				if (status >= 200 && status < 300 && answer !== undefined) return answer as Answer;
				const refusal = (answer ?? {}) as Refusal;
				if (refusal.code !== "operator.indexing" || !refusal.progress) throw this.#refusal(status, refusal);
				bar.onProgress(refusal.progress);
			}
		} finally {
			bar.stop();
		}
	}

	async #answer(
		path: string,
		request: RequestInit,
	): Promise<{ readonly status: number; readonly text: string }> {
		const pulse = new NodePulse(this.url);
		try {
			const headers = { ...request.headers, authorization: `Bearer ${this.#token}` };
			const signal = AbortSignal.any([AbortSignal.timeout(ANSWER_MS_MAX), pulse.silent]);
			const response = await fetch(this.#at(path), { ...request, headers, redirect: "error", signal });
			return { status: response.status, text: await response.text() };
		} catch (cause) {
			throw this.#unreachable(cause as Error);
		} finally {
			pulse.stop();
		}
	}

	#unreachable(cause: Error): MycelogError {
		const { message, cause: deeper } = cause;
		const why = deeper instanceof Error ? deeper.message || (deeper as NodeJS.ErrnoException).code : message;
		const node = this.url.href;
		return new MycelogError(
			"operator.node-unreachable",
			`no answer from ${node}: ${why}`,
			{ node },
			{ cause },
		);
	}

	#refusal(status: number, { detail, code }: Refusal): MycelogError {
		const node = this.url.href;
		const words = detail ?? `${node} answered ${status}, and not as a Mycelog node does`;
		if (code !== undefined && Object.hasOwn(ERROR_CATALOGUE, code)) {
			return new MycelogError(code as ErrorCode, words, { node });
		}
		if (status === 401 || status === 403) return new MycelogError("operator.access-refused", words, { node });
		if (status >= 502 || status === 429) {
			return new MycelogError("operator.node-unreachable", `${node}: ${words}`, { node, status });
		}
		return new MycelogError("operator.refused", words, { node, status });
	}
}

function queryOf(parameters: Parameters): string {
	const given = Object.entries(parameters).flatMap(([name, value]): [string, string][] =>
		value === undefined ? [] : [[name, String(value)]],
	);
	return given.length > 0 ? `?${new URLSearchParams(given)}` : "";
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

function tokenIn(path: string): string {
	try {
		return readFileSync(path, "utf8").trim();
	} catch (cause) {
		throw invalid(`cannot read --token-file ${path}: ${(cause as Error).message}`);
	}
}

function invalid(text: string): MycelogError {
	return new MycelogError("config.invalid-value", text);
}
