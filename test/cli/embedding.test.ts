/** A node with gateway that has actors of its embedder's own beside those of the gateway. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { assign, setup } from "xstate";
import { createMycelog } from "../../cli/node.ts";
import { defineActor } from "../../runtime/define-actor.ts";
import type { ParkedLetter } from "../../runtime/parked.ts";
import type { ProjectionBatch } from "../../runtime/projection-batch.ts";
import { accountMachine } from "../kit/account.ts";
import { collectingLogger } from "../kit/runtime-node.ts";

/** A directory of its own, and nodes over it one after the other. */
async function stage() {
	const dataDir = mkdtempSync(join(tmpdir(), "mycelog-embedding-"));
	onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
	return async () => {
		const node = await createMycelog(
			{ dataDir, port: 0, partitions: 4 },
			{ environment: {}, logger: collectingLogger(), actors: [savings, basket] },
		);
		onTestFinished(() => node.stop());
		await node.start();
		await node.ready();
		return node;
	};
}

const savings = defineActor({ type: "savings", version: 1, machine: accountMachine });
/** Fails for good at what is bad. */
const basket = defineActor({
	type: "basket",
	version: 1,
	machine: setup({
		types: { context: {} as { items: string[] }, events: {} as { type: "add"; item: string } },
	}).createMachine({
		context: { items: [] },
		on: {
			add: {
				actions: assign({
					items: ({ context, event }) => {
						if (event.item === "bad") throw new Error("no such item");
						return [...context.items, event.item];
					},
				}),
			},
		},
	}),
});

test("createMycelog takes actors: they are told and asked by reference, and live on with the node's log", async () => {
	const start = await stage();
	const first = await start();
	expect(await first.ref("savings", "ann").ask({ type: "deposit", amount: 7 })).toBe(7);
	expect((await fetch(`${first.url}/health/ready`)).status).toBeLessThan(500);
	await first.stop();
	const second = await start();
	expect((await second.ref("savings", "ann").state()).context.balance).toBe(7);
	// @ts-expect-error no such type
	expect(() => second.ref("bank", "ann")).toThrow('no actor type for "bank/ann"');
});

test("a read model runs in the process that serves the gateway, of the embedder's own actors, and goes on after a restart", async () => {
	const start = await stage();
	const seen: string[] = [];
	const options = {
		name: "deposits",
		handler: ({ records }: ProjectionBatch) => {
			for (const { address, event } of records) seen.push(`${address} ${event["amount"]}`);
		},
	};
	const first = await start();
	const projection = first.project(options);
	expect(() => first.project(options)).toThrow('two projections are named "deposits"');
	expect(() => first.project({ ...options, name: "other", types: ["workspace"] })).toThrow(
		'no actor type "workspace" here; known: savings, basket',
	);
	// The gateway's own actors have messages too.
	const socket = new WebSocket(`${first.url.replace("http", "ws")}/ws`);
	await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
	socket.send(JSON.stringify({ client_id: "ann" }));
	await new Promise((resolve) => socket.addEventListener("message", resolve, { once: true }));
	await first.ref("savings", "ann").ask({ type: "deposit", amount: 7 });
	await projection.caughtUp();
	expect(seen).toEqual(["savings/ann 7"]);
	socket.close();
	await first.stop();
	expect(projection.status.state).toBe("stopped");
	const second = await start();
	await second.ref("savings", "ben").ask({ type: "deposit", amount: 2 });
	await second.project(options).caughtUp();
	expect(seen).toEqual(["savings/ann 7", "savings/ben 2"]);
});

test("a handler that is at work when the node stops ends first, and its batch does not come again", async () => {
	const start = await stage();
	const first = await start();
	const handled: number[] = [];
	const working = Promise.withResolvers<void>();
	const mayEnd = Promise.withResolvers<void>();
	first.project({
		name: "slow",
		handler: async ({ records }) => {
			working.resolve();
			await mayEnd.promise;
			for (const { event } of records) handled.push(event["amount"] as number);
		},
	});
	await first.ref("savings", "ann").tell({ type: "deposit", amount: 7 });
	await working.promise;
	const stopped = first.stop();
	mayEnd.resolve();
	await stopped;
	expect(handled).toEqual([7]);
	const second = await start();
	const again = second.project({ name: "slow", handler: ({ records }) => void handled.push(records.length) });
	await again.caughtUp();
	expect(handled).toEqual([7]);
});

test("dead letters and lists of the embedder's actors are there beside the gateway, and a letter is sent once more", async () => {
	const node = await (await stage())();
	await node.ref("basket", "1").tell({ type: "add", item: "bad" });
	const letters: ParkedLetter[] = [];
	for await (const letter of node.deadLetters({ follow: AbortSignal.timeout(30_000) })) {
		letters.push(letter);
		if (letters.length === 1) await node.retryLetter(letter);
		else break;
	}
	expect(letters.map(({ address, cause }) => [address, cause])).toEqual([
		["basket/1", "Error: no such item"],
		["basket/1", "Error: no such item"],
	]);
	const listed: string[] = [];
	for await (const { address } of node.actors({ type: "basket" })) listed.push(address);
	expect(listed).toEqual(["basket/1"]);
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
