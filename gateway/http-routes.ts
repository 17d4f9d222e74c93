/**
 * The routes of plain HTTP: each is told about here and nowhere else, so that what is served and what is described
 * (openapi.ts) are one list. Owns what all have in common: paths, bodies, limits, CORS, errors.
 */
import type { TemplatedApp } from "uWebSockets.js";
import { MycelogError } from "../persistence/errors.ts";
import { ClientError } from "./client-calls.ts";
import { Bodies } from "./http-bodies.ts";
import { Exchange, HttpError } from "./http-exchange.ts";

/** A route for those who read about it; the words are OpenAPI's. */
export interface Operation {
	readonly tag: "services" | "workspaces" | "connection" | "login" | "node" | "operator";
	readonly summary: string;
	/** Parameters in the query, with what they say. */
	readonly query?: Readonly<Record<string, string>>;
	/** Media types of a body. */
	readonly body?: readonly string[];
	/** By status: what it means, and the media types of a body. */
	readonly answers: Readonly<Record<number, { readonly means: string; readonly types?: readonly string[] }>>;
	/** Whether a token has a say; `needed`: without one there is no answer. */
	readonly token: boolean | "needed";
}

export interface Route {
	readonly methods: readonly ("get" | "post")[];
	/** Below the base path, with `:name` for a part that may be anything. */
	readonly path: string;
	/** Undefined: served for programs that know it from elsewhere. */
	readonly operation?: Operation;
	/** `answer` takes the body itself, by `exchange.upload`: there is no bound on it here. */
	readonly upload?: true;
	/** `names`: of the path's parts, decoded. Rejections are told to the client. */
	readonly answer: (
		exchange: Exchange,
		names: readonly string[],
		body: Promise<Buffer>,
	) => void | Promise<void>;
}

export class HttpRoutes {
	readonly #app: TemplatedApp;
	readonly #basePath: string;
	readonly #routes: Route[] = [];
	readonly #bodies = new Bodies();

	constructor(app: TemplatedApp, basePath: string) {
		this.#app = app;
		this.#basePath = basePath;
	}

	get all(): readonly Route[] {
		return this.#routes;
	}

	add(route: Route): void {
		this.#routes.push(route);
		const { path, answer } = route;
		const names = [...path.matchAll(/:\w+/g)].length;
		for (const method of route.methods) {
			this.#app[method](`${this.#basePath}${path}`, (res, req) => {
				const exchange = new Exchange(res, req);
				const raw = Array.from({ length: names }, (_, i) => req.getParameter(i) ?? "");
				// Asked for in the route's own turn: the library does not wait for anybody.
				const isHeld = method === "post" && !route.upload;
				const body = isHeld ? exchange.body(this.#bodies) : Promise.resolve(Buffer.alloc(0));
				// Where the answer does not depend on it any more, nobody hears of its failure.
				body.catch(() => {});
				const answered = (async () => answer(exchange, raw.map(decoded), body))();
				answered.catch((error) => exchange.fail(httpError(error)));
			});
		}
	}

	/** Everything below the path, whatever the method, is refused. */
	refuse(path: string, error: HttpError): void {
		this.#app.any(`${this.#basePath}${path}`, (res, req) => new Exchange(res, req).fail(error));
	}

	/** After the last route: preflight requests, and whatever else is asked for. */
	close(): void {
		this.#app.options("/*", (res, req) => new Exchange(res, req).allow());
		this.#app.any("/*", (res, req) => {
			const exchange = new Exchange(res, req);
			exchange.fail(new HttpError(404, `Not found: ${exchange.path}`));
		});
	}
}

function decoded(part: string): string {
	try {
		return decodeURIComponent(part);
	} catch {
		throw new HttpError(400, "the path is not well encoded");
	}
}

/** Statuses of upstream, by the words that services and actors use. */
function httpError(error: unknown): HttpError {
	if (error instanceof HttpError) return error;
	const words = error instanceof ClientError ? error.line : (error as Error).message;
	const text = words.trim().split("\n").at(-1) ?? "";
	if (MycelogError.is(error, "actor.ask-timeout")) return new HttpError(504, text);
	if (MycelogError.is(error) && error.retryable) return new HttpError(503, text);
	const detail = text.startsWith("RemoteException: ") ? text : `RemoteException: ${text}`;
	if (/PermissionError/.test(text)) return new HttpError(403, detail);
	if (/KeyError|not found/i.test(text)) return new HttpError(404, detail);
	if (/NotImplementedError/.test(text)) return new HttpError(501, detail);
	if (/ValueError|TypeError|AssertionError/.test(text)) return new HttpError(400, detail);
	return new HttpError(500, detail);
}
