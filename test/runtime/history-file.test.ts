/** Histories exported and imported into another environment, what they bring with them, and what is refused. */
import { expect, test } from "vitest";
import { audit } from "../../runtime/audit.ts";
import { exportHistories } from "../../runtime/export.ts";
import { dryRun } from "../../runtime/fork.ts";
import { type ImportOptions, importHistories } from "../../runtime/import.ts";
import { encodeBody } from "../../runtime/message.ts";
import type { WritableParts } from "../../runtime/operator.ts";
import { readBatch } from "../../runtime/projection-batch.ts";
import { promote } from "../../runtime/promote.ts";
import { rebuildLive } from "../../runtime/rebuild-live.ts";
import { RESTORE, rebuildDraft, restoreDraft } from "../../runtime/recovery-records.ts";
import { replay } from "../../runtime/replay.ts";
import { verify } from "../../runtime/verify.ts";
import { Watermarks } from "../../runtime/watermarks.ts";
import { settled } from "../../testing/virtual-time.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { MemoryStage, type RunningNode } from "../kit/memory-node.ts";

const REASON = { by: "ada", why: "moved" };
const A = "counter/a";

function partsOf({ node, log }: RunningNode): WritableParts {
	return { log, behaviours: node.behaviours, partitions: 1, append: (draft) => node.submit(draft) };
}

async function send(running: RunningNode, to: string, type: string, fields: object = {}): Promise<number> {
	const offset = await running.node.tell(to, { type, ...fields });
	await settled();
	return offset;
}

/** Messages of all sorts: taken, failing, told to others, a timer that rang, one to come, restores done and refused. */
async function lived(): Promise<{ stage: MemoryStage; running: RunningNode; file: string[] }> {
	const stage = new MemoryStage();
	const running = await stage.start();
	await send(running, A, "add", { by: 1 });
	await send(running, "counter/other", "add", { by: 50 });
	await send(running, A, "fail");
	await send(running, A, "relay", { to: "counter/other", by: 7 });
	await send(running, A, "arm", { delayMs: 1_000 });
	await stage.time.advance(2_000);
	const parts = partsOf(running);
	const { base } = await dryRun(parts, A, { edits: [] });
	const edits = [{ insert: 0, event: { type: "add", by: 100 } }];
	await promote(parts, A, { edits }, { ...REASON, base });
	await running.node.submit(
		restoreDraft(A, { ...REASON, base: 0, version: 1, state: "{}", timers: [], edits: [] }),
	);
	await send(running, A, "add", { by: 2 });
	await send(running, A, "arm", { delayMs: 1_000_000 });
	return { stage, running, file: await exported(running) };
}

async function exported(running: RunningNode, filter: object = { address: A }): Promise<string[]> {
	const lines: string[] = [];
	for await (const line of exportHistories(partsOf(running), { ...filter, now: 0 }))
		lines.push(line.trimEnd());
	return lines;
}

async function* of(lines: readonly string[]): AsyncGenerator<string> {
	yield* lines;
}

function imported(running: RunningNode, lines: readonly string[], options: Partial<ImportOptions> = {}) {
	return importHistories(partsOf(running), () => of(lines), { ...REASON, ...options });
}

test("an imported actor is what it was, with its timers and every state on the way, and nothing of it is sent again", async () => {
	const { running: there, file } = await lived();
	const before = await replay(partsOf(there), A);
	const stage = new MemoryStage();
	const here = await stage.start();
	const [one] = await imported(here, file);
	await stage.time.advance(100);
	expect(one).toMatchObject({ address: A, from: A, before: 0 });
	const after = await replay(partsOf(here), A);
	expect([after.value, after.timers]).toEqual([before.value, before.timers]);
	expect(after.value).toMatchObject({ value: "armed", context: { total: 103, bells: 1 } });
	const records = stage.storage.all(stage.actors);
	expect(new Set(records.map(({ key }) => key))).toEqual(new Set([A]));
	expect(records).toHaveLength(one?.messages as number);
	expect(stage.storage.all({ topic: "dead-letters", partition: 0 })).toEqual([]);
	expect((await replay(partsOf(here), A, { to: 0 })).value).toMatchObject({ context: { total: 1 } });
	await send(here, A, "add", { by: 5 });
	await stage.time.advance(2_000_000);
	expect((await replay(partsOf(here), A)).value).toMatchObject({ context: { total: 108, bells: 2 } });
	await stage.checkpoint(here);
	const verified = await verify({ ...partsOf(here), snapshots: stage.disk.open() }, A);
	expect(verified).toMatchObject({ ok: true, snapshot: "equal" });
});

test("repeated, also after the actor went on, an import writes nothing; broken off, it goes on where it was", async () => {
	const { file } = await lived();
	const stage = new MemoryStage();
	const here = await stage.start();
	const parts = partsOf(here);
	let left = 3;
	const breaking = {
		...parts,
		append: (draft: Parameters<typeof parts.append>[0]) => {
			return left-- > 0 ? parts.append(draft) : Promise.reject(new Error("gone"));
		},
	};
	await expect(importHistories(breaking, () => of(file), REASON)).rejects.toThrow("gone");
	await settled();
	const [second] = await imported(here, file);
	expect(second).toMatchObject({ before: 3 });
	const end = stage.storage.all(stage.actors).length;
	expect(end).toBe(second?.messages);
	await send(here, A, "add", { by: 1 });
	const [third] = await imported(here, file);
	expect(third?.before).toBe(third?.messages);
	expect(stage.storage.all(stage.actors)).toHaveLength(end + 1);
});

test("many actors in one file keep their order; one may come in under another address", async () => {
	const { running: there } = await lived();
	const stage = new MemoryStage();
	const here = await stage.start();
	const found = await imported(here, await exported(there, { type: "counter" }));
	expect(found.map(({ address }) => address).sort()).toEqual([A, "counter/other"]);
	await stage.time.advance(100);
	expect((await replay(partsOf(here), "counter/other")).value).toMatchObject({ context: { log: [50, 7] } });
	await imported(here, await exported(there), { into: "counter/b" });
	await stage.time.advance(100);
	expect((await replay(partsOf(here), "counter/b")).value).toMatchObject({ context: { total: 103 } });
});

test("damaged files, histories that are there already and machines that make something else are refused, and nothing is written", async () => {
	const { running: there, file } = await lived();
	const stage = new MemoryStage();
	const here = await stage.start();
	const changed = file.map((line, i) => (i === 1 ? line.replace(/"body":"./, '"body":"X') : line));
	for (const [lines, words] of [
		[[], /empty/],
		[changed, /checksum is not that of the file/],
		[file.slice(0, -1), /cut off/],
		[file.toSpliced(2, 1), /checksum/],
		[file.toSpliced(1, 0, "{"), /line 2 is no JSON/],
		[file.with(0, '{"format":"other"}'), /line 1 is no header/],
		[file.with(0, (file[0] as string).replace('"version":1', '"version":2')), /version 2 of its format/],
	] as [string[], RegExp][]) {
		const problem = { code: "recovery.invalid-file", message: expect.stringMatching(words) };
		await expect(imported(here, lines)).rejects.toMatchObject(problem);
	}
	await expect(imported(here, file, { why: "" })).rejects.toMatchObject({ code: "config.invalid-value" });
	await expect(imported(here, file, { into: "client/a" })).rejects.toMatchObject({
		code: "actor.unknown-type",
	});
	const all = await exported(there, { under: "counter/" });
	await expect(imported(here, all, { into: "counter/c" })).rejects.toMatchObject({
		code: "config.invalid-value",
	});
	const doubling = {
		...counterBehaviour,
		encode: (state: unknown) => counterBehaviour.encode(state).replace('"total":103', '"total":206'),
	};
	const otherStage = new MemoryStage();
	const other = await otherStage.start({ behaviours: [doubling] });
	await expect(imported(other, file)).rejects.toMatchObject({
		code: "recovery.incompatible-machine",
		message: expect.stringMatching(/state\.context\.total is 206 instead of 103/),
	});
	expect(otherStage.storage.all(otherStage.actors)).toEqual([]);
	expect(stage.storage.all(stage.actors)).toEqual([]);
	await send(here, A, "add", { by: 1 });
	await expect(imported(here, file)).rejects.toMatchObject({ code: "recovery.has-history" });
	expect(stage.storage.all(stage.actors)).toHaveLength(1);
	await expect(imported(other, file, { acceptDifferent: true })).resolves.toHaveLength(1);
});

test("an export is refused for nobody and where the beginning of the history is gone", async () => {
	const { stage, running } = await lived();
	await expect(exported(running, { address: "counter/nobody" })).rejects.toMatchObject({
		code: "actor.not-found",
	});
	await expect(exported(running, {})).rejects.toMatchObject({ code: "config.invalid-value" });
	await expect(exported(running, { type: "tank" })).rejects.toMatchObject({ code: "actor.unknown-type" });
	stage.storage.trim(stage.actors, 1);
	await expect(exported(running)).rejects.toMatchObject({ code: "log.offset-trimmed" });
});

test("the audit tells who did what and why, newest first, and what became of it", async () => {
	const { stage, running } = await lived();
	const parts = partsOf(running);
	const rebuilding = rebuildLive(parts, [A], { by: "ben", why: "mended" }).next();
	for (let i = 0; i < 20; i++) await stage.time.advance(20);
	await rebuilding;
	await running.node.submit(
		rebuildDraft("counter/other", { by: "cy", why: "on stopped data", stored: true }),
	);
	const body = encodeBody({ type: "mycelog.pause", by: "dan", why: "wait" });
	await running.node.submit({ to: "counter/other", kind: "command", type: "mycelog.pause", body });
	await stage.time.advance(100);
	const found = await audit(parts);
	expect(found.map(({ address, what, by, why, outcome }) => [address, what, by, why, outcome])).toEqual([
		["counter/other", "pause", "dan", "wait", "done"],
		["counter/other", "rebuild", "cy", "on stopped data", "done"],
		[A, "rebuild", "ben", "mended", "done"],
		[A, "restore", "ada", "moved", "refused"],
		[A, "restore", "ada", "moved", "done"],
	]);
	expect(found.at(-1)?.details).toMatchObject({ edits: [{ insert: 0, event: { type: "add", by: 100 } }] });
	expect(await audit(parts, { by: "ben" })).toHaveLength(1);
	expect(await audit(parts, { address: A, limit: 2 })).toHaveLength(2);
});

test("a read model gets imported messages as they were where they come from, and the restore among them", async () => {
	const { running: there, file } = await lived();
	const stage = new MemoryStage();
	const here = await stage.start();
	await imported(here, file);
	await stage.time.advance(100);
	const read = async ({ log }: RunningNode, id: typeof stage.actors) => {
		const place = { next: 0, watermarks: new Watermarks() };
		const { end } = await log.bounds(id);
		const { records } = await readBatch(log, id, place, {
			end,
			types: new Set(["counter"]),
			maxRecords: 1_000,
		});
		return records.filter(({ address }) => address === A).map(({ offset: _, ...record }) => record);
	};
	const [before, after] = [await read(there, stage.actors), await read(here, stage.actors)];
	const refused = (event: { type: string; state?: unknown }) =>
		event.type === RESTORE && event.state === "{}";
	expect(after).toEqual(before.filter(({ event }) => !refused(event)));
	expect(after.map(({ event }) => event.type)).toContain(RESTORE);
});
