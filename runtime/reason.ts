/** Who did something and why: kept in the log with all that operators do. Owns its form and bounds. */
import { MycelogError } from "../persistence/errors.ts";

/** Characters of who and why, each. */
export const WHO_WHY_CHARACTERS_MAX = 1_000;

/** Who changed something, and for what reason. */
export interface Reason {
	readonly by: string;
	readonly why: string;
}

/** Throws `config.invalid-value` where one is empty or too long. */
export function mustSayWhy({ by, why }: Reason): void {
	for (const [name, text] of [
		["by", by],
		["why", why],
	] as const) {
		if (text.trim() !== "" && text.length <= WHO_WHY_CHARACTERS_MAX) continue;
		const words = `"${name}" needs 1 to ${WHO_WHY_CHARACTERS_MAX} characters: it is kept in the log for those who ask later`;
		throw new MycelogError("config.invalid-value", words);
	}
}
