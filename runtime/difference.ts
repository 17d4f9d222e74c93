/**
 * Where two pieces of plain data first differ. Owns the path's form; the order of keys does not count.
 */

export interface Difference {
	/** `a.b[2].c`; "" for the values themselves. */
	readonly path: string;
	readonly left: unknown;
	readonly right: unknown;
}

/** Undefined: equal. Keys in ascending order, so that the same pair always names the same place. */
export function firstDifference(left: unknown, right: unknown, path = ""): Difference | undefined {
	if (Object.is(left, right)) return undefined;
	if (Array.isArray(left) && Array.isArray(right)) {
		const length = Math.max(left.length, right.length);
		for (let i = 0; i < length; i++) {
			const found = firstDifference(left[i], right[i], `${path}[${i}]`);
			if (found) return found;
		}
		return undefined;
	}
	if (!isRecord(left) || !isRecord(right)) return { path, left, right };
	for (const key of [...new Set([...Object.keys(left), ...Object.keys(right)])].sort()) {
		const inner = path === "" ? key : `${path}.${key}`;
		const found = firstDifference(left[key], right[key], inner);
		if (found) return found;
	}
	return undefined;
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
	return typeof value === "object" && value !== null && !Array.isArray(value);
}
