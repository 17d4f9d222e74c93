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
import type { Identity } from "./identity.ts";
import type { Manager } from "./manager-service.ts";
import type { GatewayMetrics } from "./metrics.ts";
import { type OperatorNeed, operatorOf } from "./operator-access.ts";
import { addActorQuestions } from "./operator-actors.ts";
import { Fields, Query } from "./operator-input.ts";
import { addInterventions } from "./operator-interventions.ts";
import { addLetterRoutes } from "./operator-letters.ts";
import { operatorLog } from "./operator-log.ts";
import { addOverview } from "./operator-overview.ts";
import { addRecovery } from "./operator-recovery.ts";
import { addWorkspaceQuestions } from "./operator-workspaces.ts";

/** Questions and commands of operators under way on one node; past it 503: a node's first work is its clients. */
export const OPERATOR_REQUESTS_AT_ONCE_MAX = 16;

export interface OperatorApiParts extends HttpCallerParts {
	readonly node: Node;
	readonly historyIndex: HistoryIndex;
	readonly manager: Manager;
	readonly metrics: GatewayMetrics;
	readonly version: string;
	readonly draining: () => boolean;
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
};

export function addOperatorRoutes(routes: HttpRoutes, parts: OperatorApiParts): void {
	const { log, ...rest } = parts.node.operator;
	const reading = { ...rest, log: operatorLog(log), index: parts.historyIndex };
	const context = { ...parts, reading, outcomes: new LetterOutcomes(reading) };
	const own = new OperatorRoutes(routes, parts);
	addOverview(own, context);
	addActorQuestions(own, context);
	addInterventions(own, context);
	addLetterRoutes(own, context);
	addRecovery(own, context);
	addWorkspaceQuestions(own, context);
}

export class OperatorRoutes {
	readonly #routes: HttpRoutes;
	readonly #parts: OperatorApiParts;
	#underWay = 0;

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
		this.#add("get", path, "operator.read", operation, async (asked) => {
			return answer(new Query(asked.exchange, Object.keys(query)), asked);
		});
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
		this.#add("post", path, need, operation, async (asked, body) => {
			return answer(Fields.of(await body, fields), asked);
		});
	}

	#add(
		method: "get" | "post",
		path: string,
		need: OperatorNeed,
		operation: Operation,
		answer: (asked: Asked, body: Promise<Buffer>) => Promise<unknown>,
	): void {
		this.#routes.add({
			methods: [method],
			path: `/operator/api/${path}`,
			operation,
			answer: async (exchange, _, body) => {
				const by = await operatorOf(exchange, need, this.#parts);
				if (this.#underWay >= OPERATOR_REQUESTS_AT_ONCE_MAX) {
					throw new HttpError(503, "too many operators ask at once, try again", { "retry-after": "1" });
				}
				this.#underWay++;
				try {
					const value = await answer({ exchange, by }, body);
					exchange.send(200, "application/json", readableJson(value), { "cache-control": "no-store" });
				} catch (error) {
					fail(exchange, error);
				} finally {
					this.#underWay--;
				}
			},
		});
	}
}

function operationOf(summary: string, means: string): Operation {
	return {
		tag: "operator",
		summary,
		answers: {
			200: { means, types: ["application/json"] },
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
		const { code, fix, retryable } = error;
		const status = STATUS_OF[code] ?? (retryable ? 503 : 500);
		exchange.json(status, { success: false, detail, code, fix });
	} else throw error;
}
