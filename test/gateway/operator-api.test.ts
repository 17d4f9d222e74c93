/** The operator's routes on a live node: who may ask, what is answered, and that wrong input changes nothing. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Answer, type OperatorStage, operatorStage, shelf } from "../kit/operator-stage.ts";
import { RawClient } from "../kit/raw-client.ts";

let stage: OperatorStage;

beforeAll(async () => {
	stage = await operatorStage();
	const { mycelog } = stage;
	for (const item of ["apple", "bread", "cheese"])
		await mycelog.ref("basket", "ann").tell({ type: "add", item });
	await mycelog.ref("basket", "ann").tell({ type: "pay" });
	await mycelog.ref("basket", "bob").tell({ type: "add", item: "apple" });
	await mycelog.ref("basket", "bob").state();
	await mycelog.ref("basket", "ann").state();
});
afterAll(() => stage.remove());

describe("access", () => {
	test("takes a token in the header: none is 401, a wrong one 401, a client's own 403, and none of it is logged", async () => {
		const { url } = stage.mycelog;
		const asked = await fetch(`${url}/operator/api/overview`);
		expect(asked.status).toBe(401);
		expect(asked.headers.get("www-authenticate")).toContain("Bearer");
		expect(await asked.json()).toMatchObject({ success: false, detail: expect.stringContaining("token") });
		const elsewhere = [
			{ cookie: `access_token=${stage.rootToken}` },
			{ authorization: `Basic ${Buffer.from(`root:${stage.rootToken}`).toString("base64")}` },
			{ authorization: stage.rootToken },
		];
		for (const headers of elsewhere) {
			expect((await fetch(`${url}/operator/api/overview`, { headers })).status).toBe(401);
			const asked = `${url}/operator/api/overview?access_token=${stage.rootToken}`;
			expect((await fetch(asked)).status).toBe(401);
		}
		expect((await stage.get("overview", {}, "wrong")).status).toBe(401);
		const client = await RawClient.connect(url, { clientId: "visitor" });
		const own = (await client.manage("generate_token", {})) as string;
		await client.leave();
		for (const [status, token] of [[403, own]] as const) {
			expect(await stage.get("overview", {}, token)).toMatchObject({ status, body: { success: false } });
			const paused = await stage.post("actor/pause", { address: "till/t0", why: "no right" }, token);
			expect(paused.status).toBe(403);
		}
		expect(JSON.stringify(stage.logger.lines)).not.toContain(stage.rootToken);
	});

	test("with write permission in the root workspace is enough to look, not to act; read permission is not", async () => {
		const { url, node } = stage.mycelog;
		expect(node.ready).toBe(true);
		const root = await RawClient.connect(url, { clientId: "root-client", token: stage.rootToken });
		const config = (permission: string) => ({ workspace: "ws-user-root", permission });
		const writer = (await root.manage("generate_token", config("read_write"))) as string;
		const reader = (await root.manage("generate_token", config("read"))) as string;
		await root.leave();
		expect((await stage.get("overview", {}, reader)).status).toBe(403);
		expect((await stage.get("overview", {}, writer)).status).toBe(200);
		expect((await stage.post("actor/pause", { address: "till/t0", why: "look" }, writer)).status).toBe(403);
		expect((await stage.post("import/history", { why: "look" }, writer)).status).toBe(403);
		expect((await stage.get("actor", { address: "till/t0" })).status).toBe(404);
	});
});

describe("questions", () => {
	test("overview names the node, its partitions with their lag, health, counts and counters", async () => {
		const { status, body } = await stage.get("overview");
		expect(status).toBe(200);
		const { id } = stage.mycelog.node.name;
		expect(body).toMatchObject({
			node: id,
			nodes: [id],
			health: { ready: true, status: "healthy", reasons: [] },
		});
		expect(body.partitions).toHaveLength(8);
		expect(
			body.partitions.every((one: { owner: string; live: boolean }) => one.owner === id && one.live),
		).toBe(true);
		expect(body.counters.records).toBeGreaterThan(4);
		expect(Object.keys(body.counts)).toEqual(
			expect.arrayContaining(["connections", "clients", "deadLetters"]),
		);
	});

	test("actors come by address in pages, filtered by type, beginning and text", async () => {
		const first = await stage.get("actors", { type: "basket", limit: 1 });
		expect(first.body).toMatchObject({
			actors: [{ address: "basket/ann", type: "basket", state: "open.paying", offset: expect.any(Number) }],
			next: "basket/ann",
		});
		const second = await stage.get("actors", { type: "basket", limit: 1, after: first.body.next });
		expect(second.body.actors.map(({ address }: { address: string }) => address)).toEqual(["basket/bob"]);
		expect(second.body.next).toBeUndefined();
		expect((await stage.get("actors", { search: "bob" })).body.actors).toHaveLength(1);
		expect((await stage.get("actors", { under: "basket/b" })).body.actors).toHaveLength(1);
	});

	test("one actor shows state, timers and its chart with the active states", async () => {
		const { body } = await stage.get("actor", { address: "basket/ann" });
		expect(body).toMatchObject({
			address: "basket/ann",
			type: "basket",
			state: "open.paying",
			pausable: true,
			timers: [{ at: expect.any(Number) }],
			chart: { active: ["basket.open", "basket.open.paying"] },
		});
		const { chart } = body;
		expect(
			chart.root.states.map(({ key, initial }: { key: string; initial?: string }) => [key, initial]),
		).toEqual([
			["open", "basket.open.filling"],
			["paid", undefined],
		]);
		expect(chart.transitions).toContainEqual({
			source: "basket.open.filling",
			targets: ["basket.open.paying"],
			event: "pay",
			guard: "filled",
		});
		expect(chart.transitions).toContainEqual({
			source: "basket.open.paying",
			targets: ["basket.open.filling"],
			delay: "patience",
		});
	});

	test("built-in actors have charts too", async () => {
		const { body } = await stage.get("actor", { address: "workspace/ws-user-root" });
		expect(body.chart.root.states.length).toBeGreaterThan(0);
		expect(body.chart.active[0]).toBe("workspace.active");
		expect(body.pausable).toBe(false);
	});

	test("an actor's history comes in pages, forwards and backwards, each entry with the state after it", async () => {
		const address = "basket/ann";
		const first = await stage.get("history", { address, limit: 3 });
		const items = (body: Answer["body"]) =>
			body.entries.map(({ event }: { event: { item?: string; type: string } }) => event.item ?? event.type);
		expect(items(first.body)).toEqual(["apple", "bread", "cheese"]);
		expect(first.body.entries[0]).toMatchObject({
			kind: "command",
			type: "add",
			outcome: "folded",
			state: "open.filling",
			active: ["basket.open", "basket.open.filling"],
			value: { machine: { context: { items: ["apple"] } } },
		});
		const second = await stage.get("history", { address, limit: 3, from: first.body.next });
		expect(items(second.body)).toEqual(["pay"]);
		expect(second.body.next).toBeUndefined();
		const newest = await stage.get("history", { address, limit: 2, before: second.body.end });
		expect(items(newest.body)).toEqual(["cheese", "pay"]);
		const older = await stage.get("history", { address, limit: 2, before: newest.body.next });
		expect(items(older.body)).toEqual(["apple", "bread"]);
		const before = await stage.get("history", { address, before: older.body.start });
		expect(before.body).toMatchObject({ entries: [] });
		expect(items((await stage.get("history", { address, type: "pay" })).body)).toEqual(["pay"]);
		const until = older.body.entries[1].timestamp;
		expect((await stage.get("history", { address, since: until + 3_600_000 })).body.entries).toEqual([]);
		expect(items((await stage.get("history", { address, until, sender: "-" })).body)[0]).toBe("apple");
		expect((await stage.get("history", { address, outcome: "odd" })).status).toBe(400);
	});

	test("scenario 38: the state behind any offset is folded from the log, without touching the actor", async () => {
		const address = "basket/ann";
		const { body } = await stage.get("history", { address });
		const { offset } = body.entries[1];
		const then = await stage.get("state", { address, offset });
		expect(then.body).toMatchObject({ state: "open.filling", offset, records: 2 });
		expect(then.body.value.machine.context.items).toEqual(["apple", "bread"]);
		expect((await stage.get("actor", { address })).body.state).toBe("open.paying");
		const early = await stage.get("state", { address, at: body.entries[3].timestamp });
		expect(early.body.state).toBe("open.paying");
		for (const wrong of [{ offset: 999_999 }, { at: 1 }]) {
			expect((await stage.get("state", { address, ...wrong })).status).toBe(404);
		}
	});

	test("workspaces, their clients and services are listed", async () => {
		const { url } = stage.mycelog;
		const client = await RawClient.connect(url, { clientId: "here", token: stage.rootToken });
		const { body } = await stage.get("workspaces");
		expect(body.workspaces.map(({ id }: { id: string }) => id)).toContain("ws-user-root");
		const clients = await stage.get("clients", { workspace: "ws-user-root" });
		expect(JSON.stringify(clients.body)).toContain("here");
		expect(Array.isArray((await stage.get("services", { workspace: "ws-user-root" })).body.services)).toBe(
			true,
		);
		await client.leave();
	});

	test("what is wrong is said with a code where there is one", async () => {
		expect(await stage.get("actor", { address: "basket/nobody" })).toMatchObject({
			status: 404,
			body: { success: false, code: "actor.not-found" },
		});
		expect((await stage.get("actor", { address: "garden/gnome" })).body.code).toBe("actor.unknown-type");
		expect((await stage.get("actor", { address: "gnome" })).status).toBe(400);
		expect((await stage.get("actor", {})).body.detail).toContain('"address" is needed');
		expect((await stage.get("actors", { typ: "basket" })).body.detail).toContain('no parameter "typ"');
		expect((await stage.get("history", { address: "basket/ann", limit: "many" })).status).toBe(400);
	});
});

test("a handler that never returns is seen as work since when, and holds up neither its actor nor its partition", async () => {
	const ref = stage.mycelog.ref("errand", "e1");
	const startedAt = Date.now();
	await ref.tell({ type: "run" });
	await ref.tell({ type: "note" });
	expect((await ref.state()).context.runs).toBe(1);
	const { body } = await stage.get("actor", { address: "errand/e1" });
	expect(body.timers).toMatchObject([{ work: true, at: expect.any(Number) }]);
	expect(body.timers[0].at).toBeGreaterThanOrEqual(startedAt);
	expect((await stage.get("overview")).body.health.ready).toBe(true);
});

describe("commands", () => {
	test("pause and resume say who and why in the actor's own history, and what comes between is kept in order", async () => {
		const address = "till/t1";
		const ref = stage.mycelog.ref("till", "t1");
		await ref.tell({ type: "add", item: "apple" });
		const paused = await stage.post("actor/pause", { address, why: "stocktaking" });
		expect(paused).toMatchObject({ status: 200, body: { address, paused: true } });
		await ref.tell({ type: "add", item: "bread" });
		await vi.waitFor(async () => {
			const { body } = await stage.get("actor", { address });
			expect(body.hold).toMatchObject({ failed: false, held: 1, messages: [{ type: "add" }] });
		});
		expect((await stage.get("actors", { type: "till", search: "t1" })).body.actors[0]).toMatchObject({
			paused: true,
		});
		expect((await stage.post("actor/skip", { address, why: "?" })).status).toBe(409);
		expect((await stage.post("actor/resume", { address, why: "done" })).body).toMatchObject({
			paused: false,
		});
		expect((await ref.state()).context.items).toEqual(["apple", "bread"]);
		const { body } = await stage.get("history", { address });
		expect(body.entries.map(({ event }: { event: unknown }) => event)).toEqual(
			expect.arrayContaining([
				expect.objectContaining({ type: "mycelog.pause", by: "root", why: "stocktaking" }),
				expect.objectContaining({ type: "mycelog.resume", by: "root", why: "done" }),
			]),
		);
	});

	test("a message that failed is retried once the cause is gone, or skipped", async () => {
		const address = "till/t2";
		const ref = stage.mycelog.ref("till", "t2");
		shelf.closed.add("fish");
		await ref.tell({ type: "add", item: "fish" });
		await ref.tell({ type: "add", item: "salt" });
		await vi.waitFor(async () => {
			expect((await stage.get("actor", { address })).body.hold).toMatchObject({ failed: true, held: 2 });
		});
		expect((await stage.post("actor/retry", { address, why: "again" })).body).toMatchObject({ paused: true });
		shelf.closed.delete("fish");
		expect((await stage.post("actor/retry", { address, why: "fish is back" })).body).toMatchObject({
			paused: false,
		});
		expect((await ref.state()).context.items).toEqual(["fish", "salt"]);
		shelf.closed.add("fish");
		await ref.tell({ type: "add", item: "fish" });
		await ref.state();
		expect((await stage.post("actor/skip", { address, why: "no more fish" })).status).toBe(200);
		expect((await ref.state()).context.items).toEqual(["fish", "salt"]);
		const { letters } = (await stage.get("dead-letters", { address })).body;
		expect(letters).toMatchObject([
			{ status: "retried", outcome: { by: "root", why: "fish is back" } },
			{ status: "dropped", outcome: { by: "root", why: "no more fish" } },
		]);
		shelf.closed.delete("fish");
	});

	test("without a reason, an address or a JSON body nothing is done", async () => {
		for (const body of [
			{ address: "till/t3" },
			{ why: "x" },
			[],
			{ address: "till/t3", why: "x", now: true },
		]) {
			expect((await stage.post("actor/pause", body)).status).toBe(400);
		}
		expect(await stage.post("actor/pause", { address: "till/t3", why: "misspelt" })).toMatchObject({
			status: 404,
			body: { code: "actor.not-found" },
		});
		expect((await stage.get("actor", { address: "till/t3" })).status).toBe(404);
		const built = await stage.post("actor/pause", { address: "workspace/ws-user-root", why: "x" });
		expect(built).toMatchObject({
			status: 409,
			body: { detail: expect.stringContaining("cannot be paused") },
		});
	});
});

describe("dead letters", () => {
	const fail = async (of: string, ...items: string[]) => {
		for (const item of items) shelf.closed.add(item);
		for (const item of items) await stage.mycelog.ref("basket", of).tell({ type: "add", item });
		await vi.waitFor(async () => {
			const { body } = await stage.get("dead-letters", { address: `basket/${of}` });
			expect(body.letters).toHaveLength(items.length);
		});
		for (const item of items) shelf.closed.delete(item);
		return (await stage.get("dead-letters", { address: `basket/${of}` })).body.letters as { id: string }[];
	};

	test("are listed with their cause in pages, and one is shown with its message", async () => {
		const letters = await fail("dan", "nails", "glue");
		expect(letters[0]).toMatchObject({
			address: "basket/dan",
			type: "add",
			cause: expect.stringContaining("no nails on the shelf"),
			status: "open",
		});
		const page = await stage.get("dead-letters", { address: "basket/dan", limit: 1 });
		const rest = await stage.get("dead-letters", { address: "basket/dan", after: page.body.next });
		expect([...page.body.letters, ...rest.body.letters]).toEqual(letters);
		expect(
			(await stage.get("dead-letters", { cause: "glue", address: "basket/dan" })).body.letters,
		).toHaveLength(1);
		const one = await stage.get("dead-letter", { id: (letters[0] as { id: string }).id });
		expect(one.body).toMatchObject({
			stack: expect.any(String),
			record: { event: { type: "add", item: "nails" } },
		});
		expect((await stage.get("dead-letter", { id: "actors/0@999999" })).status).toBe(404);
	});

	test("scenario 35: are retried by filter after a dry run, each once, and say who did it and why", async () => {
		await fail("eve", "rope", "soap");
		const ref = stage.mycelog.ref("basket", "eve");
		const wanted = { filter: { address: "basket/eve", type: "add" }, why: "shelf is full again" };
		const dry = await stage.post("dead-letters/retry", { ...wanted, dryRun: true });
		expect(dry.body).toMatchObject({ dryRun: true, retried: 2, left: 0 });
		expect((await ref.state()).context.items).toEqual([]);
		const done = await stage.post("dead-letters/retry", { ...wanted, rate: 50 });
		expect(done.body).toMatchObject({ dryRun: false, retried: 2, left: 0 });
		expect((await ref.state()).context.items).toEqual(["rope", "soap"]);
		const { letters } = (await stage.get("dead-letters", { address: "basket/eve" })).body;
		expect(letters[0]).toMatchObject({
			status: "retried",
			outcome: { by: "root", why: "shelf is full again", at: expect.any(Number), offset: expect.any(Number) },
		});
		expect((await stage.post("dead-letters/retry", wanted)).body).toMatchObject({ retried: 0, left: 0 });
		const again = await stage.post("dead-letters/retry", {
			ids: letters.map(({ id }: { id: string }) => id),
			why: "?",
		});
		expect(again.body).toMatchObject({ retried: 0, left: 2 });
		expect((await ref.state()).context.items).toEqual(["rope", "soap"]);
	});

	test("are dropped with a reason, and listed as dropped", async () => {
		const [letter] = await fail("fay", "lamp");
		const id = (letter as { id: string }).id;
		expect((await stage.post("dead-letters/drop", { ids: [id] })).status).toBe(400);
		expect((await stage.post("dead-letters/drop", { why: "all of it" })).status).toBe(400);
		const dropped = await stage.post("dead-letters/drop", {
			ids: [id, "actors/0@999999"],
			why: "ordered by mistake",
		});
		expect(dropped.body).toMatchObject({ dropped: 1, left: 1 });
		const { body } = await stage.get("dead-letters", { address: "basket/fay", status: "dropped" });
		expect(body.letters).toMatchObject([
			{ id, outcome: { outcome: "dropped", by: "root", why: "ordered by mistake" } },
		]);
		expect((await stage.mycelog.ref("basket", "fay").state()).context.items).toEqual([]);
	});

	test("of an actor that waits for help are left to retry and skip of the actor", async () => {
		shelf.closed.add("ink");
		await stage.mycelog.ref("till", "t4").tell({ type: "add", item: "ink" });
		await vi.waitFor(async () => {
			const { body } = await stage.get("dead-letters", { address: "till/t4" });
			expect(body.letters).toMatchObject([{ paused: true }]);
		});
		const { body } = await stage.post("dead-letters/retry", { filter: { address: "till/t4" }, why: "x" });
		expect(body.letters).toMatchObject([
			{ result: "left", reason: expect.stringContaining("retry or skip") },
		]);
		shelf.closed.delete("ink");
	});
});

test("the routes are described with the token they need", async () => {
	const response = await fetch(`${stage.mycelog.url}/openapi.json`);
	const description = (await response.json()) as Answer["body"];
	const overview = description.paths["/operator/api/overview"].get;
	expect(overview).toMatchObject({ tags: ["operator"], security: [{ token: [] }] });
	expect(description.paths["/operator/api/dead-letters/retry"].post.requestBody).toBeDefined();
	const page = readFileSync(new URL("../../docs/reference/http.md", import.meta.url), "utf8");
	const operators = page.slice(page.indexOf("## Operators"), page.indexOf("## Rates"));
	const told = [...operators.matchAll(/^\| (`[a-z/`, -]+`) \|/gm)].flatMap(
		([, names = ""]) => names.match(/[a-z/-]+/g) ?? [],
	);
	const served = Object.keys(description.paths).filter((path) => path.startsWith("/operator/api/"));
	expect(told.map((name) => `/operator/api/${name}`).sort()).toEqual(served.sort());
});
