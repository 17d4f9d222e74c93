/** A projection on nodes that share a Kafka log and a database: each record counts once while partitions move. */
import Database from "better-sqlite3";
import { expect, onTestFinished, test } from "vitest";
import type { ProjectionBatch } from "../../runtime/projection-batch.ts";
import { account } from "../kit/account.ts";
import { SharedLog } from "../kit/embedded-kafka.ts";

const NAMES = ["a", "b", "c", "d", "e", "f", "g", "h"];
const PATIENCE = { timeout: 30_000 } as const;

test("two nodes on Kafka: each projects what it owns, a joining and a leaving one lose and repeat nothing", async () => {
	const database = new Database(":memory:");
	onTestFinished(() => {
		database.close();
	});
	database.exec(`
		CREATE TABLE balances (address TEXT PRIMARY KEY, amount INTEGER NOT NULL);
		CREATE TABLE positions (partition INTEGER PRIMARY KEY, position TEXT NOT NULL)`);
	const add = database.prepare(
		"INSERT INTO balances VALUES (?, ?) ON CONFLICT DO UPDATE SET amount = amount + excluded.amount",
	);
	const insert = database.prepare("INSERT INTO positions VALUES (?, ?)");
	const replace = database.prepare("UPDATE positions SET position = ? WHERE partition = ? AND position = ?");
	const find = database.prepare("SELECT position FROM positions WHERE partition = ?").pluck();
	const counted = { one: 0, two: 0 };
	const seenByRuntime: string[] = [];

	const log = new SharedLog();
	const start = async (id: "one" | "two") => {
		const node = await log.start(id, [account]);
		const own = node.project({
			name: "own",
			handler: database.transaction(({ partition, records, position, after }: ProjectionBatch) => {
				for (const { address, event } of records) add.run(address, event["amount"]);
				if (after === undefined) insert.run(partition, position);
				else if (replace.run(position, partition, after).changes === 0)
					throw new Error("another node was first");
				counted[id] += records.length;
			}),
			load: (partition) => find.get(partition) as string | undefined,
		});
		const kept = node.project({
			name: "kept",
			handler: ({ records }) => {
				for (const { address, offset } of records) seenByRuntime.push(`${address}@${offset}`);
			},
		});
		return { node, own, kept };
	};
	const rows = () => database.prepare("SELECT address, amount FROM balances ORDER BY address").raw().all();
	const expected = (amount: number) => NAMES.map((name) => [`account/${name}`, amount]);

	const one = await start("one");
	for (const name of NAMES) await one.node.ref("account", name).ask({ type: "deposit", amount: 1 }, PATIENCE);
	await expect.poll(rows, PATIENCE).toEqual(expected(1));
	const two = await start("two");
	for (const name of NAMES)
		await one.node.ref("account", name).ask({ type: "deposit", amount: 10 }, PATIENCE);
	await expect.poll(rows, PATIENCE).toEqual(expected(11));
	expect(counted.two).toBeGreaterThan(0);
	await one.node.stop();
	for (const name of NAMES)
		await two.node.ref("account", name).ask({ type: "deposit", amount: 100 }, PATIENCE);
	await expect.poll(rows, PATIENCE).toEqual(expected(111));
	expect(counted.one + counted.two).toBe(3 * NAMES.length);
	expect([two.own.status.state, two.kept.status.state]).toEqual(["running", "running"]);
	await expect.poll(() => new Set(seenByRuntime).size, PATIENCE).toBe(3 * NAMES.length);
}, 120_000);
