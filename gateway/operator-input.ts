/** What operators' requests say: queries and JSON bodies, each value checked. Owns the words of a refusal (400). */
import { WHO_WHY_CHARACTERS_MAX } from "../runtime/reason.ts";
import { type Exchange, HttpError } from "./http-exchange.ts";

/** The parameters of a query. Throws HttpError 400 for one that is not known: a misspelt filter would find everything. */
export class Query {
	readonly #given: URLSearchParams;

	constructor(exchange: Exchange, known: readonly string[]) {
		this.#given = new URLSearchParams(exchange.query);
		for (const name of this.#given.keys()) {
			if (known.includes(name)) continue;
			throw new HttpError(400, `no parameter "${name}" here; known: ${known.join(", ") || "none"}`);
		}
	}

	/** An empty one is as none. */
	text(name: string): string | undefined {
		return this.#given.get(name) || undefined;
	}

	needed(name: string): string {
		const text = this.text(name);
		if (text === undefined) throw new HttpError(400, `the parameter "${name}" is needed`);
		return text;
	}

	choice<Choice extends string>(name: string, choices: readonly Choice[]): Choice | undefined {
		const text = this.text(name);
		if (text === undefined || choices.includes(text as Choice)) return text as Choice | undefined;
		throw new HttpError(400, `${name} must be one of ${choices.join(", ")}`);
	}

	whole(name: string, most = Number.MAX_SAFE_INTEGER): number | undefined {
		const text = this.text(name);
		return text === undefined ? undefined : wholeNumber(name, /^\d+$/.test(text) ? Number(text) : text, most);
	}

	flag(name: string): boolean {
		const text = this.text(name);
		if (text === undefined || text === "false" || text === "0") return false;
		if (text === "true" || text === "1") return true;
		throw new HttpError(400, `${name} must be true or false`);
	}
}

/** The fields of a body. Throws HttpError 400 as Query does. */
export class Fields {
	readonly #given: Readonly<Record<string, unknown>>;

	constructor(given: unknown, known: readonly string[], place = "the body") {
		if (typeof given !== "object" || given === null || Array.isArray(given)) {
			throw new HttpError(400, `${place} must be a JSON object`);
		}
		this.#given = given as Readonly<Record<string, unknown>>;
		for (const name of Object.keys(given)) {
			if (known.includes(name)) continue;
			throw new HttpError(400, `no field "${name}" in ${place}; known: ${known.join(", ")}`);
		}
	}

	static of(body: Buffer, known: readonly string[], place = "the body"): Fields {
		let given: unknown;
		try {
			given = JSON.parse(body.toString("utf8"));
		} catch (error) {
			throw new HttpError(400, `${place} is no JSON: ${(error as Error).message}`);
		}
		return new Fields(given, known, place);
	}

	value(name: string): unknown {
		return this.#given[name] ?? undefined;
	}

	text(name: string, most = Number.POSITIVE_INFINITY): string | undefined {
		const value = this.value(name);
		if (value === undefined) return undefined;
		if (typeof value === "string" && value !== "" && value.length <= most) return value;
		const bound = Number.isFinite(most) ? ` of at most ${most} characters` : "";
		throw new HttpError(400, `${name} must be a text${bound}`);
	}

	needed(name: string, most?: number): string {
		const text = this.text(name, most);
		if (text === undefined) throw new HttpError(400, `the field "${name}" is needed`);
		return text;
	}

	/** Why something is done: kept with it. */
	why(): string {
		return this.needed("why", WHO_WHY_CHARACTERS_MAX);
	}

	whole(name: string, most = Number.MAX_SAFE_INTEGER): number | undefined {
		const value = this.value(name);
		return value === undefined ? undefined : wholeNumber(name, value, most);
	}

	flag(name: string): boolean {
		const value = this.value(name) ?? false;
		if (typeof value === "boolean") return value;
		throw new HttpError(400, `${name} must be true or false`);
	}

	texts(name: string, most: number): readonly string[] | undefined {
		const value = this.value(name);
		if (value === undefined) return undefined;
		if (Array.isArray(value) && value.length <= most && value.every((one) => typeof one === "string"))
			return value;
		throw new HttpError(400, `${name} must be an array of at most ${most} texts`);
	}
}

function wholeNumber(name: string, value: unknown, most: number): number {
	if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0 && value <= most) return value;
	throw new HttpError(400, `${name} must be a whole number from 0 to ${most}`);
}
