/** Rebuilds that begin with a stored snapshot, on live nodes: what they lead to, and what is no snapshot to begin with. */
import { describe, expect, test } from "vitest";
import type { Actor } from "../../runtime/actor.ts";
import { audit } from "../../runtime/audit.ts";
import { type Message, messageOf } from "../../runtime/message.ts";
import type { WritableParts } from "../../runtime/operator.ts";
import { type LiveRebuild, rebuildLive } from "../../runtime/rebuild-live.ts";
import { REBUILT, rebuildDraft, rebuiltIn } from "../../runtime/recovery-records.ts";
import { replay } from "../../runtime/replay.ts";
import { verify, type WithSnapshots } from "../../runtime/verify.ts";
import { settled } from "../../testing/virtual-time.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { MemoryStage, type RunningNode } from "../kit/memory-node.ts";

const ANN = "counter/ann";
const REASON = { by: "ada", why: "its memory is in doubt" };

function partsOf({ node, log }: RunningNode, stage: MemoryStage): WritableParts & WithSnapshots {
	const { behaviours } = node;
	const snapshots = stage.disk.open();
	return { log, snapshots, behaviours, partitions: 1, append: (draft) => node.submit(draft) };
}

async function add(running: RunningNode, address: string, ...numbers: number[]): Promise<void> {
	for (const by of numbers) await running.node.tell(address, { type: "add", by });
	await settled();
}

async function actorOf(running: RunningNode, address: string): Promise<Actor> {
	return (await running.node.actor(address)) as Actor;
}

async function plainState(running: RunningNode, address = ANN): Promise<unknown> {
	const { behaviour, state } = await actorOf(running, address);
	return JSON.parse(behaviour.encode(state));
}

function rebuilt(stage: MemoryStage, running: RunningNode, fromSnapshot: boolean, ...of: string[]) {
	const answers = async () => {
		const list: LiveRebuild[] = [];
		const options = { ...REASON, fromSnapshot };
		for await (const one of rebuildLive(partsOf(running, stage), of, options)) list.push(one);
		return list;
	};
	return stage.during(answers());
}

/** A stored state with three messages in it, two behind it, one of these twice, and a memory that is not right. */
async function doubted() {
	const stage = new MemoryStage();
	const running = await stage.start();
	await add(running, ANN, 1, 2, 3);
	await add(running, "counter/ben", 7);
	await stage.checkpoint(running);
	await add(running, ANN, 4, 5);
	const repeats = stage.storage
		.all(stage.actors)
		.filter(({ key, offset }) => key === ANN && offset % 4 === 0);
	await running.log.append(stage.actors, repeats);
	await settled();
	const right = (await replay(partsOf(running, stage), ANN)).value;
	expect(await plainState(running)).toEqual(right);
	// As if a stray write had hit it: the state of another one.
	(await actorOf(running, ANN)).state = (await actorOf(running, "counter/ben")).state;
	expect(await plainState(running)).not.toEqual(right);
	return { stage, running, right };
}

describe("a rebuild from the stored snapshot", () => {
	test("leads to what a rebuild from the first message does, reads no record before the checkpoint, and goes on", async () => {
		const { stage, running, right } = await doubted();
		const reads: number[] = [];
		const read = running.log.read.bind(running.log);
		running.log.read = (id, from, limit) => {
			if (id.topic === "actors") reads.push(from);
			return read(id, from, limit);
		};
		const answers = await rebuilt(stage, running, true, ANN);
		expect(answers).toMatchObject([{ address: ANN, refused: undefined }]);
		expect(await plainState(running)).toEqual(right);
		expect(Math.min(...reads)).toBeGreaterThanOrEqual(4);
		await rebuilt(stage, running, false, ANN);
		expect(await plainState(running)).toEqual(right);
		await add(running, ANN, 6);
		await stage.checkpoint(running);
		expect(await verify(partsOf(running, stage), ANN)).toMatchObject({ ok: true, snapshot: "equal" });
		expect(await audit(partsOf(running, stage))).toMatchObject([
			{ what: "rebuild", outcome: "done" },
			{ what: "rebuild", outcome: "done", details: { from: "snapshot" }, ...REASON },
		]);
	});

	test("works where the log does not keep the beginning any more, which a rebuild from there does not", async () => {
		const { stage, running, right } = await doubted();
		stage.storage.trim(stage.actors, 3);
		const [answer] = await rebuilt(stage, running, true, ANN);
		expect(answer?.refused).toBeUndefined();
		const [refused] = await rebuilt(stage, running, false, ANN);
		expect(refused?.refused).toContain("older history is gone");
		expect(await plainState(running)).toEqual(right);
	});

	test("is refused in words where there is no usable snapshot, and changes nothing but for its own records", async () => {
		const { stage, running } = await doubted();
		await add(running, "counter/new", 1);
		stage.disk.damageRow("counter/ben");
		const before = [await plainState(running, "counter/ben"), await plainState(running, "counter/new")];
		const answers = await rebuilt(stage, running, true, "counter/ben", "counter/new", ANN);
		const words = Object.fromEntries(answers.map(({ address, refused }) => [address, refused]));
		expect(words).toEqual({
			[ANN]: undefined,
			"counter/ben": "there is no usable snapshot of it: the stored one does not match its checksum",
			"counter/new": "there is no usable snapshot of it: none is stored",
		});
		expect([await plainState(running, "counter/ben"), await plainState(running, "counter/new")]).toEqual(
			before,
		);
		const [first] = await audit(partsOf(running, stage), { address: "counter/ben" });
		expect(first).toMatchObject({ outcome: "refused", details: words["counter/ben"] });
	});

	test("is refused before the first checkpoint, and for a version that nothing migrates", async () => {
		const stage = new MemoryStage();
		const running = await stage.start();
		await add(running, ANN, 1);
		const [early] = await rebuilt(stage, running, true, ANN);
		expect(early?.refused).toContain("nothing is stored yet for actors/0");
		await stage.checkpoint(running);
		running.crash();
		const newer = await stage.start({ behaviours: [{ ...counterBehaviour, version: 9 }] });
		const [refused] = await rebuilt(stage, newer, true, ANN);
		expect(refused?.refused).toContain("is of version 1, and nothing migrates it to 9");
	});

	test("is refused where the actor was folded from its first message since it was stored, and done once that is stored", async () => {
		const { stage, running, right } = await doubted();
		stage.disk.fault = () => {
			throw new Error("the disk is full");
		};
		const [whole] = await rebuilt(stage, running, false, ANN);
		expect(await plainState(running)).toEqual(right);
		const [early] = await rebuilt(stage, running, true, ANN);
		expect(early?.refused).toContain(`rebuilt from its first message at offset ${whole?.offset}`);
		expect(await plainState(running)).toEqual(right);
		stage.disk.fault = () => {};
		await stage.checkpoint(running);
		expect(await rebuilt(stage, running, true, ANN)).toMatchObject([{ refused: undefined }]);
		expect(await plainState(running)).toEqual(right);
	});

	test("asked for together with one from the first message, it gives way to that", async () => {
		const { stage, running, right } = await doubted();
		// The fold from the snapshot cannot read; the loop gets what is appended from memory.
		const gate = Promise.withResolvers<void>();
		const read = running.log.read.bind(running.log);
		let isHeld = true;
		running.log.read = async (id, from, limit) => {
			if (id.topic === "actors" && isHeld) await gate.promise;
			return read(id, from, limit);
		};
		await running.node.submit(rebuildDraft(ANN, { ...REASON, snapshot: true }));
		await running.node.submit(rebuildDraft(ANN, REASON));
		await settled();
		isHeld = false;
		gate.resolve();
		await stage.during(stage.checkpoint(running));
		const [done, ...more] = stage.storage
			.all(stage.actors)
			.map(messageOf)
			.filter((one) => "type" in one && one.type === REBUILT);
		expect(more).toEqual([]);
		expect(rebuiltIn(done as Message).snapshot).toBeUndefined();
		expect(await plainState(running)).toEqual(right);
		const told = await audit(partsOf(running, stage), { address: ANN });
		expect(told.map(({ outcome }) => outcome)).toEqual(["done", "done"]);
	});

	test("survives a crash between being asked for and being done: the next process goes on from the same snapshot", async () => {
		const { stage, running, right } = await doubted();
		await running.node.submit(rebuildDraft(ANN, { ...REASON, snapshot: true }));
		running.crash();
		const next = await stage.start();
		await stage.during(settled());
		await stage.checkpoint(next);
		expect(await plainState(next)).toEqual(right);
		expect(await verify(partsOf(next, stage), ANN)).toMatchObject({ ok: true, snapshot: "equal" });
	});
});
