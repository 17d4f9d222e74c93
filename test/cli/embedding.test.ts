/** A node with gateway that has actors of its embedder's own beside those of the gateway. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { createMycelog } from "../../cli/node.ts";
import { defineActor } from "../../runtime/define-actor.ts";
import { accountMachine } from "../kit/account.ts";
import { collectingLogger } from "../kit/runtime-node.ts";

const savings = defineActor({ type: "savings", version: 1, machine: accountMachine });

test("createMycelog takes actors: they are told and asked by reference, and live on with the node's log", async () => {
	const dataDir = mkdtempSync(join(tmpdir(), "mycelog-embedding-"));
	onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
	const logger = collectingLogger();
	const open = () =>
		createMycelog({ dataDir, port: 0, partitions: 4 }, { environment: {}, logger, actors: [savings] });
	const first = await open();
	await first.start();
	await first.ready();
	expect(await first.ref(savings, "ann").ask({ type: "deposit", amount: 7 })).toBe(7);
	expect((await fetch(`${first.url}/health/ready`)).status).toBeLessThan(500);
	await first.stop();
	const second = await open();
	await second.start();
	await second.ready();
	expect((await second.ref(savings, "ann").state()).context.balance).toBe(7);
	await second.stop();
});

test("an actor type that the gateway has already is refused before anything is started", async () => {
	const dataDir = mkdtempSync(join(tmpdir(), "mycelog-embedding-"));
	onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
	const workspace = defineActor({ type: "workspace", version: 1, machine: accountMachine });
	const made = createMycelog(
		{ dataDir, port: 0 },
		{ environment: {}, logger: collectingLogger(), actors: [workspace] },
	);
	await expect(made).rejects.toMatchObject({
		code: "config.invalid-value",
		message: 'two actor types are named "workspace"',
	});
});
