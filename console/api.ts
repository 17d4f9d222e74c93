/** Talks to the node's operator API. Owns the requests and what a refusal is; what answers mean is the pages' matter. */

/** Milliseconds for an answer. A rebuild or a long scan says how far it is in its own way. */
const ANSWER_MS_MAX = 60_000;

export type Query = Readonly<Record<string, string | number | boolean | undefined>>;

export class ApiError extends Error {
	override readonly name = "ApiError";
	/** 0: there was no answer. */
	readonly status: number;
	/** The same request may succeed later: the node was not reached, or takes nothing just now. One that takes long is neither. */
	readonly mayPass: boolean;

	constructor(status: number, message: string, mayPass = status >= 502) {
		super(message);
		this.status = status;
		this.mayPass = mayPass;
	}
}

/** Worth asking again after. */
export function mayPass(error: unknown): boolean {
	return error instanceof ApiError && error.mayPass;
}

export class Api {
	readonly #token: string;
	readonly #onRefused: () => void;

	/** `onRefused`: the token is not good any more. */
	constructor(token: string, onRefused: () => void) {
		this.#token = token;
		this.#onRefused = onRefused;
	}

	/** Rejects with ApiError, or as `signal` says. `withinMs`: of what a node that lives answers sooner. */
	get<T>(path: string, query: Query = {}, signal?: AbortSignal, withinMs?: number): Promise<T> {
		const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
		const parameters = new URLSearchParams(asked.map(([name, value]) => [name, String(value)]));
		return this.#ask<T>(`${path}${parameters.size > 0 ? `?${parameters}` : ""}`, {}, signal, withinMs);
	}

	post<T>(path: string, body: unknown): Promise<T> {
		const headers = { "content-type": "application/json" };
		return this.#ask<T>(path, { method: "POST", headers, body: JSON.stringify(body) });
	}

	async #ask<T>(path: string, init: RequestInit, signal?: AbortSignal, withinMs = ANSWER_MS_MAX): Promise<T> {
		const late = AbortSignal.timeout(withinMs);
		let response: Response;
		let text: string;
		try {
			response = await fetch(new URL(`api/${path}`, document.baseURI), {
				...init,
				headers: { ...init.headers, authorization: `Bearer ${this.#token}` },
				cache: "no-store",
				credentials: "omit",
				signal: signal ? AbortSignal.any([signal, late]) : late,
			});
			text = await response.text();
		} catch (error) {
			if (signal?.aborted) throw error;
			const why = late.aborted ? `no answer within ${withinMs / 1_000} s` : "the node cannot be reached";
			throw new ApiError(0, why, !late.aborted);
		}
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
