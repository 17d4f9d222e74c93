/** Content security policies of pages that bring their own style and script. Owns how a policy names such a text. */
import { createHash } from "node:crypto";

/** A source of a policy: this very text and no other. */
export function hashed(text: string): string {
	return `'sha256-${createHash("sha256").update(text).digest("base64")}'`;
}
