/**
 * One of several instances of a service, wherever their clients are connected (services.md §4): modes that ask the
 * instances themselves. Owns the asking, its patience and the comparison; who may be chosen at all the workspace says,
 * as it says alone for the modes that need no asking.
 */
import { RESOLVE_MODES, type ResolveMode, type ServiceCandidate } from "../actors/workspace-queries.ts";
import type { ManagerContext } from "./manager-context.ts";

/** An instance's time to answer when the caller names none, seconds. */
export const SELECT_SECONDS_DEFAULT = 2;
export const SELECT_SECONDS_MAX = 10;

const CRITERIA = ["min", "max", "first_success"] as const;
type Criterion = (typeof CRITERIA)[number];

export type ServiceMode =
	| { readonly asks: "nobody"; readonly mode: ResolveMode }
	| { readonly asks: "load" }
	| { readonly asks: "function"; readonly criterion: Criterion; readonly name: string };

/** Throws with upstream's words. */
export function serviceMode(text: unknown): ServiceMode {
	if (text === "min_load") return { asks: "load" };
	// Where a client is connected changes as it moves; all nodes are equally near to the manager.
	if (text === "native:random") return { asks: "nobody", mode: "random" };
	if (RESOLVE_MODES.includes(text as ResolveMode)) return { asks: "nobody", mode: text as ResolveMode };
	if (typeof text !== "string" || !text.startsWith("select:")) {
		throw new Error(`ValueError: Invalid mode: ${String(text).slice(0, 80)}`);
	}
	const [, criterion, name, ...more] = text.split(":");
	if (!name || more.length > 0) {
		throw new Error(
			`ValueError: Invalid select mode format: ${text.slice(0, 80)}; use select:criteria:function`,
		);
	}
	if (!CRITERIA.includes(criterion as Criterion)) {
		throw new Error(
			`ValueError: Unknown selection criteria: ${criterion?.slice(0, 80)}; use ${CRITERIA.join(", ")}`,
		);
	}
	return { asks: "function", criterion: criterion as Criterion, name };
}

/** An instance that does not answer in time, or has no such function, is out; if all are, any is as good. */
export async function choose(
	mode: Exclude<ServiceMode, { asks: "nobody" }>,
	workspace: string,
	candidates: readonly ServiceCandidate[],
	timeoutMs: number,
	context: ManagerContext,
): Promise<ServiceCandidate> {
	if (candidates.length === 1) return candidates[0] as ServiceCandidate;
	const answers = candidates.map(async (candidate) => ({
		candidate,
		value: await ask(mode, workspace, candidate, timeoutMs, context),
	}));
	if (mode.asks === "function" && mode.criterion === "first_success") {
		const first = await Promise.any(answers).catch(() => undefined);
		return first ? first.candidate : any(candidates, context);
	}
	const numbers = (await Promise.allSettled(answers)).flatMap((answer) =>
		answer.status === "fulfilled" && isNumber(answer.value.value) ? [answer.value] : [],
	) as { readonly candidate: ServiceCandidate; readonly value: number }[];
	if (numbers.length === 0) return any(candidates, context);
	const values = numbers.map(({ value }) => value);
	const best =
		mode.asks === "function" && mode.criterion === "max" ? Math.max(...values) : Math.min(...values);
	const equal = numbers.filter(({ value }) => value === best).map(({ candidate }) => candidate);
	return any(equal, context);
}

function ask(
	mode: Exclude<ServiceMode, { asks: "nobody" }>,
	workspace: string,
	{ client, record }: ServiceCandidate,
	timeoutMs: number,
	{ callClient, loadOf, caller }: ManagerContext,
): Promise<unknown> {
	if (mode.asks === "load") return loadOf(workspace, client, timeoutMs);
	const service = record.id.slice(record.id.indexOf(":") + 1);
	// In the caller's name: it must not run by the manager's hand what it may not run itself.
	return callClient(workspace, client, `services.${service}.${mode.name}`, [], timeoutMs, caller);
}

function any(candidates: readonly ServiceCandidate[], { random }: ManagerContext): ServiceCandidate {
	return candidates[Math.floor(random() * candidates.length)] as ServiceCandidate;
}

function isNumber(value: unknown): value is number {
	return typeof value === "number" && Number.isFinite(value);
}
