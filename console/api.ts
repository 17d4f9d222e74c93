/** Talks to the node's operator API. Owns the requests and what a refusal is; what answers mean is the pages' matter. */

/** Milliseconds for an answer. A rebuild or a long scan says how far it is in its own way. */
const ANSWER_MS_MAX = 60_000;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export class ApiError extends Error {
	override readonly name = "ApiError";
	/** 0: there was no answer. */
	readonly status: number;

	constructor(status: number, message: string) {
		super(message);
		this.status = status;
	}
}

export class Api {
	readonly #token: string;
	readonly #onRefused: () => void;

	/** `onRefused`: the token is not good any more. */
	constructor(token: string, onRefused: () => void) {
		this.#token = token;
		this.#onRefused = onRefused;
	}

	/** Rejects with ApiError, or as `signal` says. */
	get<T>(path: string, query: Query = {}, signal?: AbortSignal): Promise<T> {
		const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
		const parameters = new URLSearchParams(asked.map(([name, value]) => [name, String(value)]));
		return this.#ask<T>(`${path}${parameters.size > 0 ? `?${parameters}` : ""}`, {}, signal);
	}

	post<T>(path: string, body: unknown): Promise<T> {
		const headers = { "content-type": "application/json" };
		return this.#ask<T>(path, { method: "POST", headers, body: JSON.stringify(body) });
	}

	async #ask<T>(path: string, init: RequestInit, signal?: AbortSignal): Promise<T> {
		const late = AbortSignal.timeout(ANSWER_MS_MAX);
		let response: Response;
		try {
			response = await fetch(new URL(`api/${path}`, document.baseURI), {
				...init,
				headers: { ...init.headers, authorization: `Bearer ${this.#token}` },
				cache: "no-store",
				credentials: "omit",
				signal: signal ? AbortSignal.any([signal, late]) : late,
			});
		} catch (error) {
			if (signal?.aborted) throw error;
			const why = late.aborted ? `no answer within ${ANSWER_MS_MAX / 1_000} s` : "the node cannot be reached";
			throw new ApiError(0, why);
		}
		const text = await response.text();
		if (response.ok) return JSON.parse(text) as T;
		const error = new ApiError(
			response.status,
			detailOf(text) ?? `${response.status} ${response.statusText}`,
		);
		if (response.status === 401) this.#onRefused();
		throw error;
	}
}

function detailOf(text: string): string | undefined {
	try {
		const { detail } = JSON.parse(text) as { readonly detail?: string };
		return detail?.replace(/^RemoteException: /, "");
	} catch {
		return undefined;
	}
}
