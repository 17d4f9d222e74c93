/** Read models that follow the actors: order, places that are kept, transactions, failures, on every embedded log. */
import Database from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { EmbeddedNode } from "../../runtime/embedded-node.ts";
import type { Projection, ProjectionStatus } from "../../runtime/projection.ts";
import type { ProjectionBatch } from "../../runtime/projection-batch.ts";
import { POSITION_STORED_EVERY_MS, type ProjectionOptions } from "../../runtime/projection-loop.ts";
import { Random } from "../../testing/random.ts";
import { settled } from "../../testing/virtual-time.ts";
import { account } from "../kit/account.ts";
import { EMBEDDED_LOGS, EmbeddedStage, TimedStage } from "../kit/embedded.ts";

type BankNode = EmbeddedNode<readonly [typeof account]>;

/** `address amount` of each deposit, in the order in which they were handed on. */
function collected(into: string[]): ProjectionOptions["handler"] {
	return ({ records }) => {
		for (const { address, event } of records) into.push(`${address} ${event["amount"]}`);
	};
}

async function deposit(node: BankNode, ...entries: readonly (readonly [id: string, amount: number])[]) {
	for (const [id, amount] of entries) await node.ref("account", id).ask({ type: "deposit", amount });
}

async function reached(
	projection: Projection,
	isReached: (status: ProjectionStatus) => boolean,
): Promise<ProjectionStatus> {
	for await (const status of projection.watch({ signal: AbortSignal.timeout(20_000) })) {
		if (isReached(status)) return status;
	}
	throw new Error("the projection has stopped");
}

/** Balances in a database of its own, with the positions in the same transactions. */
class BalancesDatabase {
	readonly #database = new Database(":memory:");
	fault: (when: "before" | "after") => void = () => {};

	constructor() {
		this.#database.exec(`
			CREATE TABLE balances (address TEXT PRIMARY KEY, amount INTEGER NOT NULL);
			CREATE TABLE positions (partition INTEGER PRIMARY KEY, position TEXT NOT NULL)`);
	}

	readonly load = (partition: number): string | undefined => {
		const row = this.#database.prepare("SELECT position FROM positions WHERE partition = ?").get(partition);
		return (row as { position: string } | undefined)?.position;
	};

	readonly handler = ({ records, partition, position }: ProjectionBatch): void => {
		const add = this.#database.prepare(
			"INSERT INTO balances VALUES (?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
		);
		const put = this.#database.prepare("INSERT OR REPLACE INTO positions VALUES (?, ?)");
		this.#database.transaction(() => {
			for (const { address, event } of records) add.run(address, event["amount"]);
			put.run(partition, position);
			this.fault("before");
		})();
		this.fault("after");
	};

	put(partition: number, position: string): void {
		this.#database.prepare("INSERT OR REPLACE INTO positions VALUES (?, ?)").run(partition, position);
	}

	clear(): void {
		this.#database.exec("DELETE FROM balances; DELETE FROM positions");
	}

	get balances(): Readonly<Record<string, number>> {
		const rows = this.#database.prepare("SELECT address, amount FROM balances ORDER BY address").all();
		return Object.fromEntries(
			(rows as { address: string; amount: number }[]).map(({ address, amount }) => [address, amount]),
		);
	}

	close(): void {
		this.#database.close();
	}
}

describe.each(EMBEDDED_LOGS)("a projection on the %s log", (driver) => {
	let stage: EmbeddedStage;
	let database: BalancesDatabase;
	beforeEach(() => {
		stage = new EmbeddedStage(driver);
		database = new BalancesDatabase();
	});
	afterEach(async () => {
		await stage.remove();
		database.close();
	});

	test("gets every message in its actor's order, and goes on after a restart where it was", async () => {
		const first = await stage.start([account]);
		await deposit(first, ["ann", 1], ["ben", 2], ["ann", 3]);
		const before: string[] = [];
		await first.project({ name: "all", handler: collected(before), batch: 2 }).caughtUp();
		expect(before.filter((entry) => entry.startsWith("account/ann"))).toEqual([
			"account/ann 1",
			"account/ann 3",
		]);
		expect(before.toSorted()).toEqual(["account/ann 1", "account/ann 3", "account/ben 2"]);
		await first.stop();
		const second = await stage.start([account]);
		await deposit(second, ["ann", 4]);
		const after: string[] = [];
		const projection = second.project({ name: "all", handler: collected(after) });
		await projection.caughtUp();
		expect(after).toEqual(["account/ann 4"]);
		const { state, partitions } = projection.status;
		expect([state, partitions.length]).toEqual(["running", 4]);
	});

	test("the handler's own transaction counts each message once, whatever fails around it", async () => {
		const node = await stage.start([account]);
		const faults = ["before", "after", "before", "after"];
		database.fault = (when) => {
			if (when !== faults[0]) return;
			faults.shift();
			throw new Error(`failed ${when} the commit`);
		};
		const { handler, load } = database;
		const projection = node.project({ name: "own", handler, load, batch: 1, retries: { backoffMs: 1 } });
		await deposit(node, ["ann", 1], ["ben", 2], ["ann", 3], ["cem", 4], ["ben", 5]);
		await projection.caughtUp();
		expect(faults).toEqual([]);
		expect(database.balances).toEqual({ "account/ann": 4, "account/ben": 7, "account/cem": 4 });
		await node.stop();
		const again = await stage.start([account]);
		await deposit(again, ["ann", 10]);
		await again.project({ name: "own", handler, load }).caughtUp();
		expect(database.balances).toEqual({ "account/ann": 14, "account/ben": 7, "account/cem": 4 });
	});

	test("a transaction whose last try failed after all is not repeated by resume", async () => {
		const node = await stage.start([account]);
		await deposit(node, ["ann", 1], ["ben", 2]);
		let isBroken = true;
		database.fault = (when) => {
			if (when === "after" && isBroken) throw new Error("the connection was lost after the commit");
		};
		const { handler, load } = database;
		const projection = node.project({ name: "own", handler, load, retries: { attempts: 1 } });
		await reached(projection, ({ state }) => state === "failed");
		isBroken = false;
		projection.resume();
		await projection.caughtUp();
		expect(database.balances).toEqual({ "account/ann": 1, "account/ben": 2 });
	});

	test("a handler that fails is tried again, then the projection stops there, is watched, and goes on", async () => {
		const node = await stage.start([account], { partitions: 1 });
		await deposit(node, ["ann", 1], ["ann", 2], ["ann", 3]);
		const seen: string[] = [];
		let broken = true;
		let tries = 0;
		const projection = node.project({
			name: "fails",
			batch: 1,
			retries: { attempts: 3, backoffMs: 1 },
			handler: ({ records }) => {
				for (const { event } of records) {
					if (event["amount"] === 2 && broken) {
						tries++;
						throw new Error("the disk is full");
					}
					seen.push(String(event["amount"]));
				}
			},
		});
		const { error, attempts, lag } = await reached(projection, ({ state }) => state === "failed");
		expect(error).toMatchObject({
			code: "projection.handler-failed",
			details: { partition: 0, attempts: 3 },
		});
		expect(error?.message).toContain("the disk is full");
		expect([tries, attempts, seen]).toEqual([3, 3, ["1"]]);
		expect(lag).toBeGreaterThanOrEqual(2);
		await expect(projection.caughtUp()).rejects.toBe(error);
		broken = false;
		projection.resume();
		await projection.caughtUp();
		expect(seen).toEqual(["1", "2", "3"]);
		expect(projection.status).toMatchObject({ state: "running", attempts: 0, lag: 0 });
	});

	test("paused it handles nothing, resumed what came meanwhile, reset all from the start", async () => {
		const node = await stage.start([account]);
		const seen: string[] = [];
		const projection = node.project({ name: "stops", handler: collected(seen) });
		await deposit(node, ["ann", 1]);
		await projection.caughtUp();
		await projection.pause();
		await deposit(node, ["ann", 2]);
		expect(projection.status.state).toBe("paused");
		expect(projection.status.lag).toBeGreaterThanOrEqual(1);
		expect(seen).toEqual(["account/ann 1"]);
		projection.resume();
		await projection.caughtUp();
		await projection.reset(() => {
			expect(seen.splice(0)).toEqual(["account/ann 1", "account/ann 2"]);
		});
		await projection.caughtUp();
		expect(seen).toEqual(["account/ann 1", "account/ann 2"]);
		const { handler, load } = database;
		const own = node.project({ name: "own", handler, load });
		await own.caughtUp();
		await own.reset(() => database.clear());
		await own.caughtUp();
		expect(database.balances).toEqual({ "account/ann": 3 });
	});

	test("a handler that does not end is told so, and does not hold up its node's stop", async () => {
		const node = await stage.start([account]);
		const called = Promise.withResolvers<AbortSignal>();
		node.project({
			name: "hangs",
			handler: (_, signal) => {
				called.resolve(signal);
				return new Promise(() => {});
			},
		});
		await deposit(node, ["ann", 1]);
		const signal = await called.promise;
		expect(signal.aborted).toBe(false);
		await node.stop(400);
		expect(signal.aborted).toBe(true);
		const again = await stage.start([account]);
		const seen: string[] = [];
		await again.project({ name: "hangs", handler: collected(seen) }).caughtUp();
		expect(seen).toEqual(["account/ann 1"]);
	});

	test("from the end it gets what comes after it was made, also what came while its node was down", async () => {
		const node = await stage.start([account]);
		await deposit(node, ["ann", 1]);
		const seen: string[] = [];
		const { handler, load } = database;
		const end = node.project({ name: "end", from: "end", handler: collected(seen) });
		const own = node.project({ name: "own", from: "end", handler, load });
		await Promise.all([end.caughtUp(), own.caughtUp()]);
		await node.stop();
		const without = await stage.start([account]);
		await deposit(without, ["ann", 2]);
		await without.stop();
		const again = await stage.start([account]);
		const both = [
			again.project({ name: "end", from: "end", handler: collected(seen) }),
			again.project({ name: "own", from: "end", handler, load }),
		];
		await Promise.all(both.map((one) => one.caughtUp()));
		expect(seen).toEqual(["account/ann 2"]);
		expect(database.balances).toEqual({ "account/ann": 2 });
	});

	test("a place that the log does not have is an error, and nothing is handed on", async () => {
		const node = await stage.start([account], { partitions: 1 });
		await deposit(node, ["ann", 1]);
		database.put(0, "1000 []");
		const { handler, load } = database;
		const projection = node.project({ name: "own", handler, load });
		const { error } = await reached(projection, ({ state }) => state === "failed");
		expect(error).toMatchObject({ code: "log.offset-trimmed", details: { projection: "own", partition: 0 } });
		expect(database.balances).toEqual({});
	});

	test("names are given once, and types must be of the node", async () => {
		const node = await stage.start([account]);
		const handler = () => {};
		node.project({ name: "one", handler });
		for (const [options, code] of [
			[{ name: "one" }, "config.invalid-value"],
			[{ name: "a b" }, "config.invalid-value"],
			[{ name: "two", batch: 0 }, "config.invalid-value"],
			[{ name: "two", types: ["bank"] }, "actor.unknown-type"],
		] as const) {
			expect(() => node.project({ ...options, handler })).toThrow(expect.objectContaining({ code }));
		}
	});
});

describe("a projection in a process that crashes", () => {
	test("without a transaction it gets what it had not stored again, and nothing is left out", async () => {
		const stage = new TimedStage();
		const first = await stage.start([account]);
		const seen: string[] = [];
		first.node.project({ name: "all", handler: collected(seen) });
		const ann = first.node.ref("account", "ann");
		await ann.tell({ type: "deposit", amount: 1 });
		await stage.time.advance(5_000);
		for (const amount of [2, 3]) {
			await ann.tell({ type: "deposit", amount });
			await stage.time.advance(POSITION_STORED_EVERY_MS / 4);
		}
		const before = ["account/ann 1", "account/ann 2", "account/ann 3"];
		expect(seen).toEqual(before);
		first.crash();
		const second = await stage.start([account]);
		second.node.project({ name: "all", handler: collected(seen) });
		await stage.time.advance(1_000);
		expect(seen).toEqual([...before, "account/ann 3"]);
	});

	test("a message that is in the log twice is handed on once, also after a restart between the two", async () => {
		const stage = new TimedStage();
		const first = await stage.start([account]);
		const seen: string[] = [];
		first.node.project({ name: "all", handler: collected(seen) });
		await first.node.ref("account", "ann").tell({ type: "deposit", amount: 1 });
		await stage.time.advance(5_000);
		const stopped = first.node.stop();
		await stage.time.advance(10_000);
		await stopped;
		const second = await stage.start([account]);
		const partition = { topic: "actors", partition: 0 };
		const records = await second.log.read(partition, 0, { maxRecords: 1_000, waitMs: 0 });
		const copies = records.filter(({ key }) => key === "account/ann");
		expect(copies.length).toBe(1);
		await second.log.append(partition, copies);
		second.node.project({ name: "all", handler: collected(seen) });
		await second.node.ref("account", "ann").tell({ type: "deposit", amount: 2 });
		await settled();
		await stage.time.advance(1_000);
		expect(seen).toEqual(["account/ann 1", "account/ann 2"]);
	});

	const FIRST_SEED = Number(process.env["SEED"] ?? 1);
	const RUNS = process.env["SEED"] ? 1 : 15;

	test(`seeds ${FIRST_SEED} to ${FIRST_SEED + RUNS - 1}: crashes around the transaction count nothing twice and lose nothing`, async () => {
		let crashes = 0;
		for (let seed = FIRST_SEED; seed < FIRST_SEED + RUNS; seed++) {
			const random = new Random(seed);
			const stage = new TimedStage();
			const database = new BalancesDatabase();
			const seen = new Set<string>();
			const start = async () => {
				const process = await stage.start([account]);
				let isAlive = true;
				const pause = async () => {
					await stage.time.pause(random.between(0, 300));
					// The code of a process that is gone does not go on.
					if (!isAlive) await new Promise(() => {});
				};
				process.node.project({
					name: "own",
					batch: random.between(1, 3),
					retries: { attempts: 100, backoffMs: 10 },
					load: database.load,
					handler: async (batch) => {
						await pause();
						if (random.chance(0.1)) throw new Error("before the transaction");
						database.handler(batch);
						await pause();
						if (random.chance(0.1)) throw new Error("after the transaction");
					},
				});
				process.node.project({
					name: "kept",
					handler: async ({ records }) => {
						await pause();
						for (const { address, offset } of records) seen.add(`${address}@${offset}`);
					},
				});
				return {
					...process,
					crash() {
						isAlive = false;
						process.crash();
					},
				};
			};
			let running = await start();
			const ids = ["ann", "ben", "cem"];
			for (let i = 0; i < 30; i++) {
				// One that a crash overtakes may or may not be in the log: what is there counts.
				const deposit = { type: "deposit", amount: random.between(1, 9) } as const;
				running.node
					.ref("account", random.pick(ids))
					.tell(deposit)
					.catch(() => {});
				await stage.time.advance(random.between(0, 400));
				if (!random.chance(0.15)) continue;
				crashes++;
				running.crash();
				running = await start();
			}
			await stage.time.advance(120_000);
			const truth: Record<string, number> = {};
			const messages: string[] = [];
			for (const { key, offset } of await running.log.read({ topic: "actors", partition: 0 }, 0, {
				maxRecords: 10_000,
				waitMs: 0,
			})) {
				if (key.startsWith("account/")) messages.push(`${key}@${offset}`);
			}
			for (const id of ids) {
				const state = running.node.ref("account", id).state();
				await stage.time.advance(0);
				const { balance } = (await state).context;
				if (balance > 0) truth[`account/${id}`] = balance;
			}
			expect(database.balances, `seed ${seed}`).toEqual(truth);
			expect([...seen].toSorted(), `seed ${seed}`).toEqual(messages.toSorted());
			running.crash();
			database.close();
		}
		expect(crashes).toBeGreaterThan(0);
	}, 60_000);
});
