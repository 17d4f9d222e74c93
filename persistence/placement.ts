/**
 * Which member of a group owns which partition numbers. Owns the choice alone: pure, so that every leader comes to the
 * same; the group's protocol is kafka-group.ts, the hand-over kafka-membership.ts.
 */

export interface PlacedMember {
	/** Of this one process. */
	readonly name: string;
	/** What it owns now, or has not yet let go of. */
	readonly owned: readonly number[];
}

export interface Placement {
	/** By member name: what it owns from now on. */
	readonly assigned: ReadonlyMap<string, readonly number[]>;
	/** What its owner must let go of first; whoever gets it is told in the next generation. */
	readonly moving: readonly number[];
}

/**
 * Members keep what they own, up to their share; what nobody owns goes to whoever has room and the highest score for
 * it (rendezvous hashing, so that it is the same member that stands by for it). Shares differ by one at most.
 */
export function place(members: readonly PlacedMember[], partitions: number): Placement {
	const sorted = [...members].sort((a, b) => b.owned.length - a.owned.length || (a.name < b.name ? -1 : 1));
	const assigned = new Map<string, number[]>();
	const room = new Map<string, number>();
	const taken = new Set<number>();
	const moving = new Set<number>();
	const least = Math.floor(partitions / Math.max(sorted.length, 1));
	const withOneMore = partitions - least * sorted.length;
	for (const [i, { name, owned }] of sorted.entries()) {
		const share = i < withOneMore ? least + 1 : least;
		const mine = [...new Set(owned)]
			.filter((number) => number < partitions && !taken.has(number))
			.sort((a, b) => score(name, b) - score(name, a));
		for (const number of mine) taken.add(number);
		for (const number of mine.slice(share)) moving.add(number);
		const kept = mine.slice(0, share);
		assigned.set(name, kept);
		room.set(name, share - kept.length);
	}
	// What moves has its place already, so that the next generation finds room for it.
	for (let number = 0; number < partitions; number++) {
		if (taken.has(number) && !moving.has(number)) continue;
		const best = ranked(members, number).find((name) => (room.get(name) ?? 0) > 0);
		if (best === undefined) continue;
		room.set(best, (room.get(best) ?? 0) - 1);
		if (!moving.has(number)) assigned.get(best)?.push(number);
	}
	for (const numbers of assigned.values()) numbers.sort((a, b) => a - b);
	return { assigned, moving: [...moving].sort((a, b) => a - b) };
}

/** Member names by how much a partition prefers them, the most preferred first. */
export function ranked(members: readonly { readonly name: string }[], partition: number): string[] {
	return members
		.map(({ name }) => name)
		.sort((a, b) => score(b, partition) - score(a, partition) || (a < b ? -1 : 1));
}

function score(member: string, partition: number): number {
	let hash = 0x811c9dc5 ^ partition;
	for (let i = 0; i < member.length; i++) hash = Math.imul(hash ^ member.charCodeAt(i), 0x01000193);
	hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
	hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
	return (hash ^ (hash >>> 15)) >>> 0;
}
