/**
 * The options of `createMycelog`, which a program gives as values and JavaScript does not check. Owns their way to a
 * complete configuration; kinds and ranges are those of options.ts, the words of refusals runtime/option-checks.ts.
 */
import { actorDefinition } from "../runtime/define-actor.ts";
import { aLogger } from "../runtime/logger.ts";
import {
	callable,
	checkOptions,
	type Kinds,
	listOf,
	namesIn,
	record,
	unknownName,
	wrongValue,
} from "../runtime/option-checks.ts";
import type { Surroundings } from "./node.ts";
import { type Config, OPTION_KEYS, OPTIONS, type OptionKey } from "./options.ts";

const CALL = "createMycelog";

const SURROUNDINGS: Kinds<Surroundings> = {
	environment: record,
	logger: aLogger,
	onPlaceLost: callable,
	actors: listOf(actorDefinition),
};

/** What is left out has its default. Throws `config.unknown-option`, `config.invalid-value`. */
export function completeConfig(options: Partial<Config>): Config {
	const given = namesIn(CALL, options);
	const known: readonly string[] = OPTION_KEYS;
	for (const name of Object.keys(given)) {
		if (known.includes(name)) continue;
		const hint = Object.hasOwn(SURROUNDINGS, name) ? ", it belongs into the second argument" : "";
		throw unknownName(CALL, name, known, hint);
	}
	const config = Object.fromEntries(OPTION_KEYS.map((key) => [key, valueGiven(key, given[key])]));
	return config as unknown as Config;
}

/** Throws `config.unknown-option`, `config.invalid-value`. */
export function checkSurroundings(surroundings: unknown): void {
	for (const name of Object.keys(namesIn(CALL, surroundings))) {
		if (!Object.hasOwn(OPTIONS, name)) continue;
		throw unknownName(CALL, name, Object.keys(SURROUNDINGS), ", it belongs into the first argument");
	}
	checkOptions(CALL, surroundings, SURROUNDINGS);
}

/** In the form that the command line's text gets too. */
function valueGiven(key: OptionKey, value: unknown): unknown {
	const { parse, fallback } = OPTIONS[key];
	if (value === undefined) return fallback;
	let parsed: unknown;
	try {
		parsed = parse(textOf(value));
	} catch (cause) {
		throw wrongValue(CALL, key, value, (cause as Error).message, cause);
	}
	if (kindOf(parsed) === kindOf(value)) return parsed;
	throw wrongValue(CALL, key, value, kindOf(parsed));
}

function textOf(value: unknown): string {
	return Array.isArray(value) ? value.join(",") : String(value);
}

function kindOf(value: unknown): string {
	if (Array.isArray(value))
		return value.every((one) => typeof one === "string") ? "a list of texts" : "a list";
	if (typeof value === "string") return "a text";
	return typeof value === "number" ? "a number" : typeof value;
}
