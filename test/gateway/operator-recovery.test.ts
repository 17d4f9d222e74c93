/** Recovery over the operator's routes: an actor's history folded another way, looked at, made true; all of it told of. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { type OperatorStage, operatorStage } from "../kit/operator-stage.ts";

const ANN = "basket/ann";

let stage: OperatorStage;
let offsets: number[];

beforeAll(async () => {
	stage = await operatorStage();
	for (const item of ["apple", "poison", "bread"])
		await stage.mycelog.ref("basket", "ann").tell({ type: "add", item });
	await stage.mycelog.ref("basket", "ann").state();
	const { body } = await stage.get("history", { address: ANN });
	offsets = body.entries.map(({ offset }: { offset: number }) => offset);
});
afterAll(() => stage.remove());

const items = async () => (await stage.mycelog.ref("basket", "ann").state()).context.items;
const edits = () => [{ drop: offsets[1] }];

test("an actor is verified and rebuilt, and what differs is told first", async () => {
	expect((await stage.get("verify", { address: ANN })).body).toMatchObject({ address: ANN, ok: true });
	const rebuilt = await stage.post("rebuild", { addresses: [ANN], why: "to be sure" });
	expect(rebuilt.body).toMatchObject({ rebuilt: [{ address: ANN }], waiting: 0 });
	expect(await items()).toEqual(["apple", "poison", "bread"]);
	expect((await stage.post("rebuild", { addresses: ["basket/nobody"], why: "x" })).body.code).toBe(
		"actor.not-found",
	);
	expect((await stage.post("rebuild", { addresses: [], why: "x" })).status).toBe(400);
});

test("a dry run shows the difference of an edited history and changes nothing", async () => {
	const { status, body } = await stage.post("fork/dry-run", { address: ANN, edits: edits() });
	expect(status).toBe(200);
	expect(body.after.value.machine.context.items).toEqual(["apple", "bread"]);
	expect(body.differences.length).toBeGreaterThan(0);
	expect(await items()).toEqual(["apple", "poison", "bread"]);
	const wrong: [object, number][] = [
		[{ edits: [{ drop: 999_999 }] }, 400],
		[{ edits: [{ drop: offsets[1], event: { type: "x" } }] }, 400],
		[{ edits: [{ replace: offsets[1] }] }, 400],
		[{ edits: "all" }, 400],
	];
	for (const [fork, refused] of wrong) {
		expect((await stage.post("fork/dry-run", { address: ANN, ...fork })).status, JSON.stringify(fork)).toBe(
			refused,
		);
	}
});

test("a fork is promoted as of the message that was looked at, and refused once the actor has moved", async () => {
	const fork = { address: ANN, edits: edits(), why: "poison is no food" };
	const { base } = (await stage.post("fork/dry-run", { address: ANN, edits: edits() })).body;
	expect((await stage.post("fork/promote", { ...fork, base: base - 1 })).status).toBe(409);
	expect(await items()).toEqual(["apple", "poison", "bread"]);
	expect((await stage.post("fork/promote", fork)).status).toBe(400);
	expect((await stage.post("fork/promote", { ...fork, base })).status).toBe(200);
	expect(await items()).toEqual(["apple", "bread"]);
	expect(await stage.post("fork/promote", { ...fork, base })).toMatchObject({
		status: 409,
		body: { code: "recovery.actor-moved" },
	});
});

test("the audit says who did what and why, the newest first", async () => {
	const { body } = await stage.get("audit", { address: ANN });
	expect(body.entries).toMatchObject([
		{ what: "restore", by: "root", why: "poison is no food", outcome: "done" },
		{ what: "rebuild", by: "root", why: "to be sure", outcome: "done" },
	]);
	expect((await stage.get("audit", { by: "nobody" })).body.entries).toEqual([]);
	expect((await stage.get("audit", { since: Date.now() + 60_000 })).body.entries).toEqual([]);
});

test("many actors are verified at once: how many there are, and which are not what the log says", async () => {
	await stage.mycelog.ref("basket", "bob").tell({ type: "add", item: "pear" });
	const many = async (query = {}) => (await stage.get("verify/many", { type: "basket", ...query })).body;
	// They count once a checkpoint has them, which waits for two seconds.
	await expect.poll(async () => (await many()).checked, { timeout: 20_000 }).toBe(2);
	expect(await many()).toMatchObject({ ok: true, wrong: 0, actors: [], skipped: [] });
	expect(await many({ under: "basket/b" })).toMatchObject({ checked: 1 });
	expect((await stage.get("verify/many", { type: "none" })).body.code).toBe("actor.unknown-type");
	expect((await stage.get("verify/many", { limit: "100000" })).status).toBe(400);
});
