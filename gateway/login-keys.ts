/**
 * The key by which a program waits for the login of a person. Owns its form: it proves by itself that this server made it
 * and until when it is good, so that asking for one costs the server nothing that it would have to keep.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { CompactEncrypt, compactDecrypt } from "jose";

/** Milliseconds from the key to the token (upstream's 180 s). */
export const LOGIN_MS_MAX = 180_000;

/** A code of the server's own for a text, the same at all nodes: see Tokens. */
export type Seal = (text: string) => string;

export interface LoginKey {
	/** By which results are kept: it opens nothing. */
	readonly hash: string;
	/** Milliseconds since 1970. */
	readonly expiresAt: number;
}

export function newLoginKey(seal: Seal, now: number): string {
	const words = `${randomBytes(18).toString("base64url")}.${now + LOGIN_MS_MAX}`;
	return `${words}.${seal(`login ${words}`)}`;
}

/** Throws with upstream's words for a key that is not this server's, or too old. */
export function readLoginKey(key: unknown, seal: Seal, now: number): LoginKey {
	const [chance = "", end = "", code = ""] = typeof key === "string" ? key.split(".") : [];
	const right = Buffer.from(seal(`login ${chance}.${end}`));
	const shown = Buffer.from(code);
	const expiresAt = Number(end);
	if (shown.length !== right.length || !timingSafeEqual(shown, right) || expiresAt < now) {
		throw new Error("AssertionError: Invalid key, key does not exist");
	}
	return { hash: createHash("sha256").update(String(key)).digest("base64url"), expiresAt };
}

/** A value that goes through the log, for nodes with the server's secret alone. */
export function enclosed(value: unknown, seal: Seal): Promise<string> {
	return new CompactEncrypt(new TextEncoder().encode(JSON.stringify(value)))
		.setProtectedHeader({ alg: "dir", enc: "A256GCM" })
		.encrypt(enclosureKey(seal));
}

export async function disclosed(text: string, seal: Seal): Promise<unknown> {
	const { plaintext } = await compactDecrypt(text, enclosureKey(seal));
	return JSON.parse(new TextDecoder().decode(plaintext));
}

function enclosureKey(seal: Seal): Uint8Array {
	return createHash("sha256").update(seal("key of enclosures")).digest();
}
