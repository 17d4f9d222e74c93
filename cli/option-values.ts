/**
 * Reading the text of an option as a value. Owns the allowed forms; each reader throws an Error that names them.
 */

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "fatal"] as const;

export const LIMITS = {
	/** Node's timers take no longer delay, milliseconds. */
	delayMs: 2 ** 31 - 1,
	/** One broker carries about as many partitions well. */
	partitions: 1_024,
	/** More copies of a topic than any cluster needs. */
	replicas: 32,
} as const;

export function word(text: string): string {
	if (text.trim() === "") throw new Error("a value that is not empty");
	return text;
}

export function integer(least: number, most: number): (text: string) => number {
	return (text) => {
		const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
		if (!(value >= least && value <= most)) throw new Error(`a whole number from ${least} to ${most}`);
		return value;
	};
}

export function oneOf<Choice extends string>(...choices: readonly Choice[]): (text: string) => Choice {
	return (text) => {
		const found = choices.find((choice) => choice === text);
		if (found === undefined) throw new Error(`one of ${choices.join(", ")}`);
		return found;
	};
}

/** Without a slash at the end. */
export function url(text: string): string {
	const parsed = URL.canParse(text) ? new URL(text) : undefined;
	if (!parsed || !["http:", "https:"].includes(parsed.protocol) || parsed.search || parsed.hash) {
		throw new Error("a URL such as https://mycelog.example.org");
	}
	return text.replace(/\/+$/, "");
}

export function basePath(text: string): string {
	if (text === "" || text === "/") return "";
	if (!/^(\/[A-Za-z0-9._~-]+)+$/.test(text)) throw new Error('a path such as "/mycelog", or ""');
	return text;
}

export function topicName(text: string): string {
	if (!/^[A-Za-z0-9._-]{1,100}$/.test(text)) throw new Error("1 to 100 letters, digits, dots, _ or -");
	return text;
}

export function brokers(text: string): readonly string[] {
	const found = text
		.split(",")
		.map((broker) => broker.trim().replace(/^kafka:\/\//, ""))
		.filter(Boolean);
	if (found.length === 0 || !found.every(isBroker)) {
		throw new Error("brokers such as host:9092, several separated by commas");
	}
	return found;
}

function isBroker(text: string): boolean {
	const port = Number(/^(?:\[[0-9a-fA-F:.]+\]|[^\s:/@[\]]+):(\d{1,5})$/.exec(text)?.[1]);
	return port > 0 && port <= 65_535;
}

const UNIT_MS: Readonly<Record<string, number>> = {
	s: 1_000,
	m: 60_000,
	h: 3_600_000,
	d: 86_400_000,
	w: 7 * 86_400_000,
};

/** So long ago, or a date; milliseconds since 1970. */
export function timeSince(now: number): (text: string) => number {
	return (text) => {
		const [, count, unit] = /^(\d{1,6})([smhdw])$/.exec(text) ?? [];
		if (count !== undefined && unit !== undefined) return now - Number(count) * (UNIT_MS[unit] ?? 0);
		const date = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
		if (Number.isNaN(date)) throw new Error("a time such as 7d, 12h, 30m or 2026-01-31");
		return date;
	};
}
