/**
 * What a snapshot can hold: values that JSON gives back as they were. Owns the check; a state with anything else
 * would be one thing while its actor lives and another after it was restored, and no fold would agree with both.
 */

/** Levels of arrays and objects; a value that contains itself has no end of them. */
export const STATE_NESTING_MAX = 200;

/** Fields by name: neither a list nor nothing. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * The place of the first value that JSON cannot hold and what it is; undefined: there is none. Looks only at what is
 * not shared with `before`, which was checked already: states keep what a transition leaves alone.
 */
export function firstUnplain(value: unknown, before: unknown, path: string, level = 0): string | undefined {
	if (value === before) return undefined;
	switch (typeof value) {
		case "string":
		case "boolean":
			return undefined;
		case "number":
			return Number.isFinite(value) ? undefined : `${path} is ${value}`;
		case "object":
			return value === null ? undefined : unplainInside(value, before, path, level);
		case "undefined":
			return `${path} is undefined`;
		default:
			return `${path} is a ${typeof value}`;
	}
}

function unplainInside(value: object, before: unknown, path: string, level: number): string | undefined {
	if (level >= STATE_NESTING_MAX) return `${path} is nested more than ${STATE_NESTING_MAX} levels deep`;
	const old = typeof before === "object" && before !== null ? (before as Record<string, unknown>) : {};
	if (Array.isArray(value)) {
		for (let i = 0; i < value.length; i++) {
			const inner: unknown = value[i];
			if (inner === old[i] && inner !== undefined) continue;
			// Unlike a field, an item that is undefined comes back as null.
			const found = firstUnplain(inner, inner === undefined ? null : old[i], `${path}[${i}]`, level + 1);
			if (found) return found;
		}
		return undefined;
	}
	const prototype = Object.getPrototypeOf(value);
	if (prototype !== Object.prototype && prototype !== null) {
		return `${path} is a ${prototype.constructor?.name ?? "class instance"}`;
	}
	for (const key in value) {
		const inner = (value as Record<string, unknown>)[key];
		// A field that is undefined is no field, here and in JSON.
		if (inner === undefined || inner === old[key]) continue;
		const found = firstUnplain(inner, old[key], `${path}.${key}`, level + 1);
		if (found) return found;
	}
	return undefined;
}
