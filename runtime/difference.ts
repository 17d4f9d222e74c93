/**
 * Where two pieces of plain data differ. Owns the path's form; the order of keys does not count.
 */
import { isRecord } from "./plain-data.ts";

/** One place where two values differ. */
export interface Difference {
	/** `a.b[2].c`; "" for the values themselves. */
	readonly path: string;
	readonly left: unknown;
	readonly right: unknown;
}

/** Undefined: equal. Keys in ascending order, so that the same pair always names the same place. */
export function firstDifference(left: unknown, right: unknown): Difference | undefined {
	return differences(left, right, 1)[0];
}

/** The first `most` places, from the top down. What only one side has is one place, however much it holds. */
export function differences(left: unknown, right: unknown, most: number): Difference[] {
	const found: Difference[] = [];
	collect(left, right, "", most, found);
	return found;
}

function collect(left: unknown, right: unknown, path: string, most: number, found: Difference[]): void {
	if (found.length >= most || Object.is(left, right)) return;
	if (Array.isArray(left) && Array.isArray(right)) {
		const length = Math.max(left.length, right.length);
		for (let i = 0; i < length; i++) collect(left[i], right[i], `${path}[${i}]`, most, found);
	} else if (isRecord(left) && isRecord(right)) {
		for (const key of [...new Set([...Object.keys(left), ...Object.keys(right)])].sort()) {
			collect(left[key], right[key], path === "" ? key : `${path}.${key}`, most, found);
		}
	} else found.push({ path, left, right });
}
