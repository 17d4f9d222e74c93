/**
 * Actor addresses (`type/id`) and the partition an address belongs to.
 * Owns the grammar and the hash; which topic a type lives in is the behaviour's word.
 */
import { MycelogError } from "../persistence/errors.ts";

/** `type/id`; the id may contain further slashes (`client/my-workspace/alice`). */
export type Address = string;

/** Characters; keeps keys and error messages readable and indexes small. */
export const ADDRESS_LENGTH_MAX = 512;

/** `type/id`; several parts of an id are joined by slashes. */
export function addressOf(type: string, ...id: string[]): Address {
	return `${type}/${id.join("/")}`;
}

/** The type part of a valid address. Throws `actor.invalid-address`. */
export function typeOf(address: Address): string {
	const slash = address.indexOf("/");
	if (slash < 1 || slash === address.length - 1 || address.length > ADDRESS_LENGTH_MAX) {
		throw new MycelogError(
			"actor.invalid-address",
			`"${address.slice(0, 80)}" is no actor address: write type/id, at most ${ADDRESS_LENGTH_MAX} characters`,
		);
	}
	return address.slice(0, slash);
}

/**
 * FNV-1a (32 bit) over the UTF-16 code units, with a final mix so that the low bits spread.
 * Part of the data format: changing it re-maps every mailbox.
 */
export function partitionOf(address: Address, partitions: number): number {
	let hash = 0x811c9dc5;
	for (let i = 0; i < address.length; i++) {
		hash = Math.imul(hash ^ address.charCodeAt(i), 0x01000193);
	}
	hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
	hash ^= hash >>> 13;
	return (hash >>> 0) % partitions;
}
