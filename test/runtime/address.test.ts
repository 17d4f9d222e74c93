/** Claims of addresses: their grammar, and the mailbox they belong to for ever. */
import { expect, test } from "vitest";
import { ADDRESS_LENGTH_MAX, addressOf, partitionOf, typeOf } from "../../runtime/address.ts";

test("an address is a type and an id, which may hold further slashes", () => {
	expect(addressOf("client", "my-workspace", "alice")).toBe("client/my-workspace/alice");
	expect(typeOf("client/my-workspace/alice")).toBe("client");
});

test.each(["", "client", "client/", "/alice", `client/${"x".repeat(ADDRESS_LENGTH_MAX)}`])(
	"%j is refused, saying what to write",
	(address) => {
		expect(() => typeOf(address)).toThrow(
			expect.objectContaining({
				code: "actor.invalid-address",
				message: expect.stringContaining("write type/id"),
			}),
		);
	},
);

test.each([
	["workspace/public", 64, 29],
	["client/ws-user-a/alice", 64, 23],
	["counter/ü😀", 64, 34],
	["a/b", 7, 4],
	["a/b", 1, 0],
])(
	"the mailbox of %s among %i partitions is number %i: stored data depends on it",
	(address, partitions, found) => {
		expect(partitionOf(address, partitions)).toBe(found);
	},
);

test("addresses spread evenly, those that differ in a number too", () => {
	const counts = new Array<number>(64).fill(0);
	for (let i = 0; i < 64_000; i++) {
		const partition = partitionOf(`client/workspace/${i}`, 64);
		counts[partition] = (counts[partition] as number) + 1;
	}
	expect(Math.min(...counts)).toBeGreaterThan(850);
	expect(Math.max(...counts)).toBeLessThan(1_150);
});
