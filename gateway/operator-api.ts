/**
 * The operator's routes, below `/operator/api`: what they have in common. Owns access, the bound on questions at once and
 * the form of answers and errors; what is asked stands in the files it adds.
 */
import { type ErrorCode, MycelogError } from "../persistence/errors.ts";
import type { HistoryIndex } from "../runtime/history-index.ts";
import { LetterOutcomes } from "../runtime/letter-outcomes.ts";
import { type Node, RefusedError } from "../runtime/node.ts";
import type { OperatorParts } from "../runtime/operator.ts";
import { readableJson } from "../runtime/readable-json.ts";
import type { HttpCallerParts } from "./http-caller.ts";
import { type Exchange, HttpError } from "./http-exchange.ts";
import type { HttpRoutes, Operation } from "./http-routes.ts";
import type { Upload } from "./http-upload.ts";
import type { Identity } from "./identity.ts";
import type { Manager } from "./manager-service.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { type OperatorNeed, operatorOf } from "./operator-access.ts";
import { addActorQuestions } from "./operator-actors.ts";
import { addHistoryStreams } from "./operator-histories.ts";
import { Fields, Query } from "./operator-input.ts";
import { addInterventions } from "./operator-interventions.ts";
import { addLetterRoutes } from "./operator-letters.ts";
import { LINES_TYPE, sendLines } from "./operator-lines.ts";
import { operatorLog } from "./operator-log.ts";
import { addOverview } from "./operator-overview.ts";
import { addRecovery } from "./operator-recovery.ts";
import { addVerify } from "./operator-verify.ts";
import { addWorkspaceQuestions } from "./operator-workspaces.ts";

/** Questions and commands of operators under way on one node; past it 503: a node's first work is its clients. */
export const OPERATOR_REQUESTS_AT_ONCE_MAX = 16;
/** The same of exports, and of histories that are followed. */
export const OPERATOR_STREAMS_AT_ONCE_MAX = 16;
/** The same of imports: two of one file would both find nothing of it here. */
export const OPERATOR_IMPORTS_AT_ONCE_MAX = 1;

/** A question waits so long for what the history index lacks, milliseconds; past it 503 with how far it is, and it goes on. */
export const INDEX_WAIT_MS_MAX = 2_000;

export interface OperatorApiParts extends HttpCallerParts {
	readonly node: Node;
	readonly historyIndex: HistoryIndex;
	readonly manager: Manager;
	readonly metrics: GatewayMetrics;
	readonly version: string;
	readonly draining: () => boolean;
	/** Where files lie while they arrive. */
	readonly dataDir: string;
}

export interface Asked {
	readonly exchange: Exchange;
	readonly by: Identity;
}

/** What the routes ask with. */
export interface OperatorContext extends OperatorApiParts {
	/** Reading it lets sockets and partitions have their turn between two pages. */
	readonly reading: OperatorParts & { readonly index: HistoryIndex };
	readonly outcomes: LetterOutcomes;
}

const STATUS_OF: Readonly<Partial<Record<ErrorCode, number>>> = {
	"actor.not-found": 404,
	"actor.unknown-type": 404,
	"actor.invalid-address": 400,
	"log.offset-trimmed": 404,
	"actor.version-mismatch": 409,
	"actor.ask-timeout": 504,
	"recovery.invalid-edit": 400,
	"recovery.actor-moved": 409,
	"recovery.invalid-file": 400,
	"recovery.has-history": 409,
	"recovery.incompatible-machine": 409,
	"config.invalid-value": 400,
	"log.record-too-large": 413,
};

export function addOperatorRoutes(routes: HttpRoutes, parts: OperatorApiParts): void {
	const { node } = parts;
	const index = parts.historyIndex.hurried(INDEX_WAIT_MS_MAX);
	const reading = { ...node.operator, log: operatorLog(node.log), index };
	const context = { ...parts, reading, outcomes: new LetterOutcomes(reading) };
	const own = new OperatorRoutes(routes, parts);
	addOverview(own, context);
	addActorQuestions(own, context);
	addHistoryStreams(own, context);
	addInterventions(own, context);
	addLetterRoutes(own, context);
	addRecovery(own, context);
	addVerify(own, context);
	addWorkspaceQuestions(own, context);
}

export class OperatorRoutes {
	readonly #routes: HttpRoutes;
	readonly #parts: OperatorApiParts;
	readonly #requests = new AtOnce(OPERATOR_REQUESTS_AT_ONCE_MAX);
	readonly #streams = new AtOnce(OPERATOR_STREAMS_AT_ONCE_MAX);
	readonly #imports = new AtOnce(OPERATOR_IMPORTS_AT_ONCE_MAX);

	constructor(routes: HttpRoutes, parts: OperatorApiParts) {
		this.#routes = routes;
		this.#parts = parts;
	}

	/** A question: `query` are its parameters, with what they say. */
	question(
		path: string,
		summary: string,
		query: Readonly<Record<string, string>>,
		answer: (query: Query, asked: Asked) => unknown,
	): void {
		const operation = { ...operationOf(summary, "the answer"), query };
		this.#add("get", path, { operation, need: "operator.read", within: this.#requests }, async (asked) => {
			sendJson(asked, await answer(new Query(asked.exchange, Object.keys(query)), asked));
		});
	}

	/** A question whose answer goes out as it comes. */
	lines(
		path: string,
		summary: string,
		query: Readonly<Record<string, string>>,
		answer: (query: Query) => AsyncGenerator<string>,
	): void {
		const means = "lines of JSON as they come; what fails on the way is the last one, `error`";
		const operation = { ...operationOf(summary, means, LINES_TYPE), query };
		this.#add("get", path, { operation, need: "operator.read", within: this.#streams }, ({ exchange }) =>
			sendLines(exchange, answer(new Query(exchange, Object.keys(query)))),
		);
	}

	/** A command: `fields` of its body. */
	command(
		path: string,
		summary: string,
		fields: readonly string[],
		answer: (fields: Fields, asked: Asked) => unknown,
		need: OperatorNeed = "administer",
	): void {
		const operation = { ...operationOf(summary, "done"), body: ["application/json"] };
		this.#add("post", path, { operation, need, within: this.#requests }, async (asked, body) => {
			sendJson(asked, await answer(Fields.of(await body, fields), asked));
		});
	}

	/** A command with a body of any length. */
	upload(path: string, summary: string, answer: (upload: Upload, asked: Asked) => Promise<unknown>): void {
		const operation = { ...operationOf(summary, "done"), body: [LINES_TYPE] };
		const parts = { operation, need: "administer", within: this.#imports, upload: true } as const;
		this.#add("post", path, parts, async (asked) => {
			sendJson(asked, await answer(asked.exchange.upload(), asked));
		});
	}

	#add(
		method: "get" | "post",
		path: string,
		{ operation, need, within, upload }: RouteParts,
		answer: (asked: Asked, body: Promise<Buffer>) => Promise<void>,
	): void {
		this.#routes.add({
			methods: [method],
			path: `/operator/api/${path}`,
			operation,
			...(upload ? { upload } : undefined),
			answer: async (exchange, _, body) => {
				// Before anything is waited for: the library does not wait.
				if (upload) exchange.upload();
				const by = await operatorOf(exchange, need, this.#parts);
				await within.run(async () => {
					try {
						await answer({ exchange, by }, body);
					} catch (error) {
						fail(exchange, error);
					}
				});
			},
		});
	}
}

interface RouteParts {
	readonly operation: Operation;
	readonly need: OperatorNeed;
	readonly within: AtOnce;
	/** Of a body that is not held. */
	readonly upload?: true;
}

/** Refuses what is more than so many at a time. */
class AtOnce {
	readonly #most: number;
	#underWay = 0;

	constructor(most: number) {
		this.#most = most;
	}

	async run(work: () => Promise<void>): Promise<void> {
		if (this.#underWay >= this.#most) {
			throw new HttpError(503, "too many operators ask at once, try again", { "retry-after": "1" });
		}
		this.#underWay++;
		try {
			await work();
		} finally {
			this.#underWay--;
		}
	}
}

function sendJson({ exchange }: Asked, value: unknown): void {
	exchange.send(200, "application/json", readableJson(value), { "cache-control": "no-store" });
}

function operationOf(summary: string, means: string, type = "application/json"): Operation {
	return {
		tag: "operator",
		summary,
		answers: {
			200: { means, types: [type] },
			400: { means: "a parameter or field that is missing, unknown or wrong" },
			403: { means: "the token is not enough" },
			404: { means: "no such actor, letter or offset" },
			409: { means: "the actor refused, or is not in a state for it" },
			503: { means: "the log takes nothing, or too many operators ask at once" },
			504: { means: "the actor did not answer in time" },
		},
		token: "needed",
	};
}

/** With the code and the fix of the catalogue. Throws what the routes of all kinds have words for. */
function fail(exchange: Exchange, error: unknown): void {
	const detail = (error as Error).message;
	if (error instanceof RefusedError) exchange.json(409, { success: false, detail });
	else if (MycelogError.is(error)) {
		const { code, fix, retryable, details } = error;
		const status = STATUS_OF[code] ?? (retryable ? 503 : 500);
		const progress = code === "operator.indexing" ? { progress: details } : undefined;
		exchange.json(status, { success: false, detail, code, fix, ...progress });
	} else throw error;
}
