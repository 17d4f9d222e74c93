/**
 * The guide of read models on a real PostgreSQL: its code runs, and a process that is killed around the end of a
 * transaction leaves rows and positions that agree.
 */
import pg from "pg";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { SqliteLog } from "../../persistence/log-sqlite.ts";
import { partitionOf } from "../../runtime/address.ts";
import { eventOf, messageOf } from "../../runtime/message.ts";
import { ACTORS_TOPIC } from "../../runtime/topics.ts";
import { blocksOf, runGuide } from "../kit/guide.ts";
import { type Postgres, startPostgres } from "../kit/postgres.ts";
import { temporaryDirectory } from "../kit/runtime-node.ts";

const PARTITIONS = 4;
const blocks = blocksOf("read-models.md");

let postgres: Postgres;

beforeAll(async () => {
	postgres = await startPostgres();
});
afterAll(async () => {
	await postgres?.stop();
});

/** A directory and an empty database. */
async function stage(database: string) {
	const { PGHOST: host, PGUSER: user } = postgres.environment;
	const admin = new pg.Client({ host, user, database: "postgres" });
	await admin.connect();
	await admin.query(`CREATE DATABASE ${database}`);
	await admin.end();
	const directory = temporaryDirectory();
	const client = new pg.Client({ host, user, database });
	await client.connect();
	onTestFinished(async () => {
		await client.end();
		directory.remove();
	});
	return {
		directory: `${directory.path}/data`,
		run: (code: string) => runGuide(code, directory.path, { ...postgres.environment, PGDATABASE: database }),
		rows: async (query: string) => (await client.query(query)).rows,
	};
}

test("the code of docs/guides/read-models.md runs, with SQLite and with PostgreSQL", async () => {
	const { run } = await stage("guide");
	const { code, output } = await run(blocks.join("\n"));
	expect(code, output).toBe(0);
});

/** The guide's actor and handler; each run makes deposits, and dies at the given COMMIT, which is sent or is not. */
function programThatDies(at?: { readonly commit: number; readonly sent: boolean }): string {
	const actor = blocks[0] as string;
	const handler = blocks.find((block) => block.includes("const inPostgres")) as string;
	const death = `
		let commits = 0;
		const query = pg.Client.prototype.query as (...parts: unknown[]) => Promise<unknown>;
		pg.Client.prototype.query = async function (...parts: unknown[]) {
			const dies = parts[0] === "COMMIT" && ++commits === ${at?.commit};
			if (dies && !${at?.sent}) process.kill(process.pid, "SIGKILL");
			const result = await query.apply(this, parts);
			if (dies) process.kill(process.pid, "SIGKILL");
			return result;
		} as never;`;
	return `${actor}
		for (const id of ["ann", "ben", "cem", "dan", "eve"]) await node.ref("account", id).ask({ type: "deposit", amount: 3 });
		${handler}
		${at ? death : ""}
		await node.project({ ...inPostgres, batch: 2 }).caughtUp();
		await node.stop();
		await pool.end();`;
}

/** What the log has for each account, in each partition up to the position that PostgreSQL has. */
async function balancesInLog(directory: string, positions: ReadonlyMap<number, number>): Promise<unknown> {
	const log = new SqliteLog({ directory, readOnly: true });
	await log.open([]);
	const balances = new Map<string, number>();
	for (let partition = 0; partition < PARTITIONS; partition++) {
		const limit = { maxRecords: 1_000, waitMs: 0 };
		for (const record of await log.read({ topic: ACTORS_TOPIC, partition }, 0, limit)) {
			const message = messageOf(record);
			if ("unreadable" in message || message.kind !== "command" || message.type !== "deposit") continue;
			expect(partitionOf(message.to, PARTITIONS)).toBe(partition);
			if (record.offset >= (positions.get(partition) ?? 0)) continue;
			const { amount } = eventOf(message) as unknown as { readonly amount: number };
			balances.set(message.to, (balances.get(message.to) ?? 0) + amount);
		}
	}
	await log.close(5_000);
	return Object.fromEntries([...balances].toSorted());
}

test("a process that is killed before or after COMMIT leaves rows and positions in PostgreSQL that agree", async () => {
	const { directory, run, rows } = await stage("killed");
	const agree = async () => {
		const stored = await rows("SELECT partition, position FROM positions");
		const positions = new Map(
			stored.map(({ partition, position }) => [partition, Number.parseInt(position, 10)]),
		);
		const found = await rows("SELECT address, amount::int FROM balances ORDER BY address");
		const balances = Object.fromEntries(found.map(({ address, amount }) => [address, amount]));
		expect(balances).toEqual(await balancesInLog(directory, positions));
		return balances;
	};
	for (const at of [
		{ commit: 2, sent: false },
		{ commit: 2, sent: true },
	]) {
		const { signal, output } = await run(programThatDies(at));
		expect(signal, output).toBe("SIGKILL");
		const balances = await agree();
		expect(Object.keys(balances).length, "something is stored").toBeGreaterThan(0);
	}
	const { code, output } = await run(programThatDies());
	expect(code, output).toBe(0);
	const [ann, ben, other] = [3 * 5 + 3 * 3, 3 * 7 + 3 * 3, 3 * 3];
	const everything = [ann, ben, other, other, other];
	const names = ["ann", "ben", "cem", "dan", "eve"].map((id) => `account/${id}`);
	expect(await agree()).toEqual(Object.fromEntries(names.map((name, i) => [name, everything[i]])));
});
