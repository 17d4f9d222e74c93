/**
 * Patterns with `*` for any text, as list queries use them. Owns matching in linear time: patterns come from
 * clients, and a regular expression made of many `.*` can take a partition hostage.
 */

export function matches(pattern: string, text: string): boolean {
	const parts = pattern.split("*");
	const first = parts[0] as string;
	if (parts.length === 1) return first === text;
	const last = parts.at(-1) as string;
	if (text.length < first.length + last.length || !text.startsWith(first) || !text.endsWith(last))
		return false;
	const end = text.length - last.length;
	let at = first.length;
	for (const part of parts.slice(1, -1)) {
		const found = text.indexOf(part, at);
		if (found < 0 || found + part.length > end) return false;
		at = found + part.length;
	}
	return true;
}
