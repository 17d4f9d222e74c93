/**
 * Plain objects as maps with structural sharing: what a change does not touch is the same object before and after.
 * Owns safe access with keys that clients choose (`constructor`, `__proto__`); JSON carries tables unchanged.
 */

export type Table<T> = Readonly<Record<string, T>>;

export function get<T>(table: Table<T>, key: string): T | undefined {
	return Object.hasOwn(table, key) ? table[key] : undefined;
}

export function put<T>(table: Table<T>, key: string, value: T): Table<T> {
	return { ...table, [key]: value };
}

export function without<T>(table: Table<T>, key: string): Table<T> {
	if (!Object.hasOwn(table, key)) return table;
	const { [key]: _, ...rest } = table;
	return rest;
}

/** An absent inner table is empty; one that becomes empty is removed. */
export function putInner<T>(table: Table<Table<T>>, outer: string, key: string, value: T): Table<Table<T>> {
	return put(table, outer, put(get(table, outer) ?? {}, key, value));
}

export function withoutInner<T>(table: Table<Table<T>>, outer: string, key: string): Table<Table<T>> {
	const inner = get(table, outer);
	if (!inner || !Object.hasOwn(inner, key)) return table;
	const rest = without(inner, key);
	return isEmpty(rest) ? without(table, outer) : put(table, outer, rest);
}

function isEmpty(table: Table<unknown>): boolean {
	for (const key in table) if (Object.hasOwn(table, key)) return false;
	return true;
}

export function size(table: Table<unknown>): number {
	return Object.keys(table).length;
}
