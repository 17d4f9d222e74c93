/** What the command's exit codes mean. Owns the numbers and their words, for help and docs alike. */

export const EXIT = { ok: 0, failure: 1, usage: 2, unreachable: 3 } as const;

export const EXIT_MEANINGS: Readonly<Record<number, string>> = {
	[EXIT.ok]:
		"it worked (verify: the snapshot is right, or was rebuilt; check: no actor would change; status: the node is ready; partitions: none stands still)",
	[EXIT.failure]:
		"it failed (verify: the snapshot is not right; check: an actor would fail or differ; status: the node is not ready; partitions: one stands still)",
	[EXIT.usage]: "the command, an option or an address is wrong",
	[EXIT.unreachable]: "the node named with --node did not answer, or does not take the token",
};
