/**
 * A node with gateway, its operator's routes, and actors that fail: what operators look after. Owns one node a test file;
 * a basket leaves out what fails, a till waits for help.
 */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { assign, setup } from "xstate";
import { createMycelog } from "../../cli/node.ts";
import { defineActor } from "../../runtime/define-actor.ts";
import { collectingLogger } from "./runtime-node.ts";

/** What fails until it is mended: the world outside, for tests. */
export const shelf = { closed: new Set<string>() };

function shop(id: string) {
	return setup({
		types: {
			context: {} as { items: string[] },
			events: {} as { type: "add"; item: string } | { type: "pay" } | { type: "leave" },
		},
		guards: { filled: ({ context }) => context.items.length > 0 },
		delays: { patience: 3_600_000 },
	}).createMachine({
		id,
		context: { items: [] },
		initial: "open",
		states: {
			open: {
				initial: "filling",
				states: {
					filling: {
						on: {
							add: {
								actions: assign({
									items: ({ context, event }) => {
										if (shelf.closed.has(event.item)) throw new Error(`no ${event.item} on the shelf`);
										return [...context.items, event.item];
									},
								}),
							},
							pay: { guard: "filled", target: "paying" },
						},
					},
					paying: { after: { patience: "filling" }, on: { pay: `#${id}.paid` } },
				},
			},
			paid: { type: "final" },
		},
	});
}

export const basket = defineActor({ type: "basket", version: 1, machine: shop("basket") });
export const till = defineActor({ type: "till", version: 1, machine: shop("till"), onFailure: "pause" });

/** Its handler never comes back. */
export const errand = defineActor({
	type: "errand",
	version: 1,
	machine: setup({
		types: { context: {} as { runs: number }, events: {} as { type: "run" } | { type: "note" } },
		actions: { fetch: () => {} },
	}).createMachine({
		id: "errand",
		context: { runs: 0 },
		on: {
			run: { actions: "fetch" },
			note: { actions: assign({ runs: ({ context }) => context.runs + 1 }) },
		},
	}),
	effects: { fetch: () => new Promise(() => {}) },
});

export interface Answer {
	readonly status: number;
	// biome-ignore lint/suspicious/noExplicitAny: the body is what tests look at
	readonly body: any;
	readonly headers: Headers;
}

export interface Cluster {
	readonly kafkaUri?: readonly string[];
	readonly prefix?: string;
	readonly rootToken?: string;
}

export type OperatorStage = Awaited<ReturnType<typeof operatorStage>>;

/** `cluster`: what nodes on Kafka share. Default: a node on its own, on the embedded log. */
export async function operatorStage(cluster: Cluster = {}) {
	const dataDir = mkdtempSync(join(tmpdir(), "mycelog-operator-"));
	const { rootToken = randomBytes(48).toString("hex"), ...log } = cluster;
	const logger = collectingLogger();
	const environment = { MYCELOG_ROOT_TOKEN: rootToken, MYCELOG_JWT_SECRET: rootToken };
	const options = { dataDir, port: 0, partitions: 4, ...log };
	const started = async () => {
		const made = await createMycelog(options, { environment, logger, actors: [basket, till, errand] });
		await made.start();
		await made.ready();
		return made;
	};
	let mycelog = await started();
	const at = (path: string) => `${mycelog.url}/operator/api/${path}`;
	const answerOf = async (response: Response): Promise<Answer> => {
		const { status, headers } = response;
		return { status, headers, body: await response.json() };
	};
	return {
		get mycelog() {
			return mycelog;
		},
		stop: () => mycelog.stop(),
		/** Another process on the same data. */
		async startAgain() {
			mycelog = await started();
		},
		rootToken,
		dataDir,
		logger,
		/** A question of the operator's routes, as root if no other token is given. */
		async get(path: string, parameters: Readonly<Record<string, string | number>> = {}, token = rootToken) {
			const texts = Object.entries(parameters).map(([name, value]): [string, string] => [
				name,
				String(value),
			]);
			const headers = { authorization: `Bearer ${token}` };
			return answerOf(await fetch(`${at(path)}?${new URLSearchParams(texts)}`, { headers }));
		},
		async post(path: string, body: unknown, token = rootToken) {
			const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
			return answerOf(await fetch(at(path), { method: "POST", body: JSON.stringify(body), headers }));
		},
		async remove() {
			await mycelog.stop();
			rmSync(dataDir, { recursive: true, force: true });
		},
	};
}
