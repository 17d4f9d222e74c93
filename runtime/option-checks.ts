/**
 * What callers without types may get wrong in the options they give: a name there is not, a value of another kind. Owns
 * the words of those refusals; which options there are stands where each is declared.
 */
import { MycelogError } from "../persistence/errors.ts";
import { isRecord } from "./plain-data.ts";

/** Letters by which a name may differ from the one that is meant. */
const TYPOS_MAX = 3;
/** Characters of a text, and entries of a list, that a message shows of what was found. */
const SHOWN_CHARACTERS_MAX = 80;
const SHOWN_ENTRIES_MAX = 8;

/** What an option may be, in words that follow "must be". */
export interface Kind {
	readonly words: string;
	readonly has: (value: unknown) => boolean;
	/** It cannot be left out. */
	readonly needed?: true;
}

/** One for each option, so that a new one cannot be forgotten. */
export type Kinds<Options> = { readonly [Name in keyof Options]-?: Kind };

/** Throws `config.unknown-option` and `config.invalid-value`, naming `of`, option, what was found and what may be. */
export function checkOptions<Options>(of: string, options: unknown, kinds: Kinds<Options>): void {
	const given = namesIn(of, options);
	const known = Object.keys(kinds);
	for (const name of Object.keys(given)) if (!Object.hasOwn(kinds, name)) throw unknownName(of, name, known);
	for (const [name, { words, has, needed }] of Object.entries<Kind>(kinds)) {
		const value = given[name];
		if (value === undefined ? needed : !has(value)) throw wrongValue(of, name, value, words);
	}
}

/** Throws where they are no names with values at all. */
export function namesIn(of: string, options: unknown): Readonly<Record<string, unknown>> {
	if (isRecord(options)) return options;
	throw new MycelogError(
		"config.invalid-value",
		`${of} takes its options as an object, not ${shown(options)}`,
	);
}

export function unknownName(of: string, name: string, known: readonly string[], hint = ""): MycelogError {
	const text = `${of} has no option "${name}"${hint || nearestHint(name, known)}; known: ${known.join(", ")}`;
	return new MycelogError("config.unknown-option", text, { of, option: name });
}

export function wrongValue(
	of: string,
	name: string,
	value: unknown,
	words: string,
	cause?: unknown,
): MycelogError {
	const text = `${of}: ${name} cannot be ${shown(value)}: it must be ${words}`;
	return new MycelogError("config.invalid-value", text, { of, option: name }, { cause });
}

/** Empty where no known name is like it. */
export function nearestHint(name: string, known: readonly string[]): string {
	let nearest: string | undefined;
	let least = Math.min(TYPOS_MAX, Math.floor(name.length / 2)) + 1;
	for (const one of known) {
		const typos = distance(name.toLowerCase(), one.toLowerCase());
		if (typos < least) [nearest, least] = [one, typos];
	}
	return nearest === undefined ? "" : `, did you mean "${nearest}"?`;
}

export const text: Kind = { words: "a text", has: (value) => typeof value === "string" };
export const record: Kind = { words: "an object", has: isRecord };
export const callable: Kind = { words: "a function", has: (value) => typeof value === "function" };

export function wholeFrom(least: number): Kind {
	const words = least === 1 ? "a whole number above 0" : `a whole number from ${least}`;
	return { words, has: (value) => Number.isSafeInteger(value) && (value as number) >= least };
}

export function oneOf(...choices: readonly string[]): Kind {
	return { words: `one of ${choices.join(", ")}`, has: (value) => choices.includes(value as string) };
}

/** `words`: what has those methods. */
export function withMethods(words: string, ...methods: readonly string[]): Kind {
	const has = (value: unknown) =>
		isRecord(value) && methods.every((method) => typeof value[method] === "function");
	return { words: `${words} (with ${methods.join(", ")})`, has };
}

export function recordOf({ words, has }: Kind): Kind {
	return {
		words: `an object whose values are each ${words}`,
		has: (value) => isRecord(value) && Object.values(value).every(has),
	};
}

export function listOf({ words, has }: Kind): Kind {
	return { words: `a list, each ${words}`, has: (value) => Array.isArray(value) && value.every(has) };
}

export function needed(kind: Kind): Kind {
	return { ...kind, needed: true };
}

function shown(value: unknown): string {
	if (typeof value === "string") {
		const cut = value.length > SHOWN_CHARACTERS_MAX ? `${value.slice(0, SHOWN_CHARACTERS_MAX)}…` : value;
		return JSON.stringify(cut);
	}
	if (Array.isArray(value)) {
		const entries = value.slice(0, SHOWN_ENTRIES_MAX).map(shown);
		return `[${entries.join(", ")}${value.length > SHOWN_ENTRIES_MAX ? ", …" : ""}]`;
	}
	if (typeof value === "function") return "a function";
	return typeof value === "object" && value !== null ? "an object" : String(value);
}

/** Letters to add, take away, change or swap with their neighbour. */
function distance(one: string, other: string): number {
	let before: number[] = [];
	let last = Array.from({ length: other.length + 1 }, (_, i) => i);
	for (let i = 1; i <= one.length; i++) {
		const row = [i];
		for (let j = 1; j <= other.length; j++) {
			const same = one[i - 1] === other[j - 1];
			const [left = 0, up = 0, corner = 0] = [row[j - 1], last[j], last[j - 1]];
			row[j] = same ? corner : 1 + Math.min(left, up, corner);
			const swapped = one[i - 1] === other[j - 2] && one[i - 2] === other[j - 1];
			if (!same && swapped) row[j] = Math.min(row[j] ?? 0, 1 + (before[j - 2] ?? 0));
		}
		[before, last] = [last, row];
	}
	return last[other.length] ?? 0;
}
