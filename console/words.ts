/** Numbers and times as people read them. Owns their form; pages say what they are of. */

const NUMBER = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const RATE = new Intl.NumberFormat("en", { maximumSignificantDigits: 3 });
const RELATIVE = new Intl.RelativeTimeFormat("en", { numeric: "always", style: "short" });
const STEPS = [
	["day", 86_400_000],
	["hour", 3_600_000],
	["minute", 60_000],
	["second", 1_000],
] as const;

export function number(value: number): string {
	return NUMBER.format(value);
}

export function rate(perSecond: number): string {
	return RATE.format(perSecond < 0.01 ? 0 : perSecond);
}

/** Date and time to the millisecond, in the operator's zone. */
export function time(ms: number): string {
	const date = new Date(ms);
	const two = (part: number) => String(part).padStart(2, "0");
	const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
	const clock = [date.getHours(), date.getMinutes(), date.getSeconds()].map(two).join(":");
	return `${day} ${clock}.${String(date.getMilliseconds()).padStart(3, "0")}`;
}

export function ago(ms: number, now = Date.now()): string {
	const passed = ms - now;
	for (const [unit, size] of STEPS) {
		if (Math.abs(passed) >= size) return RELATIVE.format(Math.trunc(passed / size), unit);
	}
	return "just now";
}

export function plural(count: number, one: string, many = `${one}s`): string {
	return `${number(count)} ${count === 1 ? one : many}`;
}

/** A state's name; that the actor waits in it is shown beside it. */
export function stateWords(state: string): string {
	return state.replace(/ \(paused\)$/, "");
}
