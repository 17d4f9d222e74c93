/** What the command's exit codes mean. Owns the numbers and their words, for help and docs alike. */

export const EXIT = { ok: 0, failure: 1, usage: 2, unreachable: 3 } as const;

export const EXIT_MEANINGS: Readonly<Record<number, string>> = {
	[EXIT.ok]:
		"it worked (verify: the snapshot is right, or was rebuilt; verify --all: all are; check: no actor would change; rebuild: all were rebuilt; status: the node is ready; partitions: none stands still)",
	[EXIT.failure]:
		"it failed (verify: the snapshot is not right; verify --all: of one it is not; check: an actor would fail or differ; rebuild: one was not rebuilt; status: the node is not ready; partitions: one stands still)",
	[EXIT.usage]: "the command, an option or an address is wrong",
	[EXIT.unreachable]: "the node named with --node did not answer, or does not take the token",
};
