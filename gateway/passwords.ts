/**
 * Passwords: which ones are taken, their hashes, and whether one is right. Owns the work this costs a node at once; the
 * hashing is argon2id with the library's parameters, which follow OWASP's.
 */

export const PASSWORD_CHARACTERS_MIN = 10;
export const PASSWORD_CHARACTERS_MAX = 1_000;
/** Each takes some ten milliseconds of a core and 19 MiB. */
export const HASHES_AT_ONCE_MAX = 16;

let underWay = 0;
/** Of no password: looked at where there is no account, so that time does not tell whether there is one. */
let nobodys: Promise<string> | undefined;

/** Throws `ValueError: …` for a password that is too short or too long. */
export function hashPassword(password: string): Promise<string> {
	const { length } = password;
	if (length < PASSWORD_CHARACTERS_MIN || length > PASSWORD_CHARACTERS_MAX) {
		const text = `ValueError: a password has ${PASSWORD_CHARACTERS_MIN} to ${PASSWORD_CHARACTERS_MAX} characters`;
		throw new Error(text);
	}
	return atWork(async () => (await argon2()).hash(password));
}

/** `hashed`: undefined where there is no account; then no password is right, and it takes as long to say so. */
export function isRightPassword(password: string, hashed: string | undefined): Promise<boolean> {
	return atWork(async () => {
		const { hash, verify } = await argon2();
		nobodys ??= hash("");
		const right = await verify(hashed ?? (await nobodys), password.slice(0, PASSWORD_CHARACTERS_MAX + 1));
		return right && hashed !== undefined;
	});
}

/** It is compiled, and a node without logins can do without it. */
function argon2() {
	return import("@node-rs/argon2");
}

async function atWork<T>(work: () => Promise<T>): Promise<T> {
	if (underWay >= HASHES_AT_ONCE_MAX) throw new Error("RuntimeError: too many logins at once, try again");
	underWay++;
	try {
		return await work();
	} finally {
		underWay--;
	}
}
