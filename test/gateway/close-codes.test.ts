import fc from "fast-check";
import { expect, test } from "vitest";
import { CLOSE_REASON_BYTES_MAX, closeReason } from "../../gateway/close-codes.ts";

test("a close reason fits its frame and ends with a whole character", () => {
	const text = fc.array(fc.constantFrom("a", "ü", "€", "💥"), { maxLength: 150 }).map((all) => all.join(""));
	fc.assert(
		fc.property(text, (given) => {
			const reason = closeReason(given);
			expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(CLOSE_REASON_BYTES_MAX);
			expect(given.startsWith(reason)).toBe(true);
			expect(reason.isWellFormed()).toBe(true);
			if (Buffer.byteLength(given) <= CLOSE_REASON_BYTES_MAX) expect(reason).toBe(given);
		}),
	);
});
