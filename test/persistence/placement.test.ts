/** Who gets which partition: even shares, few moves, and no partition with two owners. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type PlacedMember, place } from "../../persistence/placement.ts";

const PARTITIONS = 64;

/** Generations until nothing moves any more, as members take what they are given and let go of what they are not. */
function generations(members: readonly PlacedMember[], partitions = PARTITIONS): PlacedMember[][] {
	const all: PlacedMember[][] = [[...members]];
	for (;;) {
		const now = all.at(-1) as PlacedMember[];
		const { assigned, moving } = place(now, partitions);
		const next = now.map(({ name }) => ({ name, owned: assigned.get(name) ?? [] }));
		all.push(next);
		if (moving.length === 0) return all;
	}
}

function fresh(...names: string[]): PlacedMember[] {
	return names.map((name) => ({ name, owned: [] }));
}

function settled(members: readonly PlacedMember[]): PlacedMember[] {
	return generations(members).at(-1) as PlacedMember[];
}

function owners(members: readonly PlacedMember[]): Map<number, string> {
	return new Map(members.flatMap(({ name, owned }) => owned.map((number) => [number, name] as const)));
}

function moved(before: readonly PlacedMember[], after: readonly PlacedMember[]): number {
	const then = owners(before);
	return [...owners(after)].filter(([number, name]) => then.get(number) !== name).length;
}

describe("a placement", () => {
	test("gives everything to members that own nothing, in shares that differ by one at most", () => {
		for (const names of [["a"], ["a", "b"], ["a", "b", "c"], ["a", "b", "c", "d", "e"]]) {
			const members = settled(fresh(...names));
			const sizes = members.map(({ owned }) => owned.length);
			expect(sizes.reduce((a, b) => a + b)).toBe(PARTITIONS);
			expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
			expect(owners(members).size).toBe(PARTITIONS);
		}
	});

	test("changes nothing where everything is in its place", () => {
		const members = settled(fresh("a", "b", "c"));
		expect(place(members, PARTITIONS).moving).toEqual([]);
		expect(settled(members)).toEqual(members);
	});

	test("a newcomer gets its share in two generations, and nothing moves between the others", () => {
		const before = settled(fresh("a", "b", "c"));
		const [, first, second] = generations([...before, ...fresh("d")]);
		expect(first?.find(({ name }) => name === "d")?.owned).toEqual([]);
		expect(moved(before, first ?? [])).toBe(0);
		expect(second?.find(({ name }) => name === "d")?.owned.length).toBe(16);
		expect(moved(before, second ?? [])).toBe(16);
	});

	test("what a dead member owned is shared at once, and everybody else keeps theirs", () => {
		const before = settled(fresh("a", "b", "c"));
		const left = before.filter(({ name }) => name !== "b");
		const { assigned, moving } = place(left, PARTITIONS);
		expect(moving).toEqual([]);
		for (const { name, owned } of left)
			expect(assigned.get(name)).toEqual(expect.arrayContaining([...owned]));
		expect([...assigned.values()].flat().length).toBe(PARTITIONS);
	});

	test("whoever comes and goes, no partition has two owners and all have one in the end", () => {
		const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 7 });
		const steps = fc.array(names, { minLength: 1, maxLength: 5 });
		fc.assert(
			fc.property(steps, fc.integer({ min: 1, max: 40 }), (groups, partitions) => {
				let members: readonly PlacedMember[] = [];
				for (const group of groups) {
					const known = new Map(members.map((member) => [member.name, member]));
					const joined = group.map((name) => known.get(name) ?? { name, owned: [] });
					for (const generation of generations(joined, partitions)) {
						const all = generation.flatMap(({ owned }) => owned);
						expect(new Set(all).size).toBe(all.length);
					}
					members = generations(joined, partitions).at(-1) ?? [];
					expect(members.flatMap(({ owned }) => owned).length).toBe(partitions);
				}
			}),
		);
	});
});
