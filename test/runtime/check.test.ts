/** Stored histories folded with new machines: what is found, at which offset, and what is not counted. */
import { beforeEach, expect, test } from "vitest";
import { assign, setup } from "xstate";
import type { Behaviours } from "../../runtime/behaviour.ts";
import { type CheckedActor, type CheckOptions, checkHistories } from "../../runtime/check.ts";
import { type ActorOptions, defineActor } from "../../runtime/define-actor.ts";
import { TimedStage } from "../kit/embedded.ts";

const AN_HOUR_MS = 3_600_000;

interface Card {
	readonly points: number;
	readonly scans?: number;
}

/** A loyalty card; `scan` says what an event of so many points makes of it. */
function card(
	scan: (context: Card, points: number) => Card,
	options: Partial<ActorOptions<"card", never>> = {},
	start: Card = { points: 0 },
) {
	const machine = setup({
		types: { context: {} as Card, events: {} as { type: "scan"; points: number } },
	}).createMachine({
		context: start,
		on: { scan: { actions: assign(({ context, event }) => scan(context, event.points)) } },
	});
	return defineActor({ type: "card", version: 1, ...(options as object), machine });
}

const plain = (context: Card, points: number): Card => ({ ...context, points: context.points + points });
const noSevens = (context: Card, points: number): Card => {
	if (points === 7) throw new RangeError("seven points");
	return plain(context, points);
};
const current = card(plain);

let stage: TimedStage;
/** Ends the node that makes the history. */
let made: (actor?: typeof current) => Promise<(id: string, ...points: number[]) => Promise<void>>;
let stop: () => Promise<void>;

beforeEach(() => {
	stage = new TimedStage();
	made = async (actor = current) => {
		const { node } = await stage.start([actor]);
		stop = async () => {
			const stopped = node.stop();
			await stage.time.advance(20_000);
			await stopped;
		};
		return async (id, ...points) => {
			for (const one of points) {
				await node.ref("card", id).tell({ type: "scan", points: one });
				await stage.time.advance(1_000);
			}
		};
	};
});

async function checked(actor: typeof current, options: CheckOptions = {}): Promise<CheckedActor[]> {
	const { log } = await stage.start([actor]);
	const behaviours: Behaviours = new Map([["card", actor.behaviour]]);
	const parts = { log, snapshots: stage.disk.open(), behaviours, partitions: 1 };
	const found: CheckedActor[] = [];
	for await (const one of checkHistories(parts, options)) found.push(one);
	return found.toSorted((left, right) => (left.address < right.address ? -1 : 1));
}

test("a machine that makes the same of every history has no findings", async () => {
	const scan = await made();
	await scan("ann", 1, 2);
	await scan("ben", 3);
	await stop();
	const progress: number[] = [];
	const found = await checked(
		card((context, points) => ({ points: points + context.points })),
		{
			onProgress: ({ scanned, total }) => progress.push(total - scanned),
		},
	);
	expect(found).toEqual([
		{ address: "card/ann", partition: "actors/0", records: 2, compared: true, finding: undefined },
		{ address: "card/ben", partition: "actors/0", records: 1, compared: true, finding: undefined },
	]);
	expect(progress.at(-1)).toBe(0);
});

test("the first message at which the new machine fails is named, and its error", async () => {
	const scan = await made();
	await scan("ann", 1, 7, 2, 7);
	await stop();
	const [ann] = await checked(card(noSevens));
	expect(ann?.finding).toMatchObject({
		reason: "fails",
		offset: 1,
		type: "scan",
		error: "RangeError: seven points",
	});
	const [paused] = await checked(card(noSevens, { onFailure: "pause" }));
	expect(paused?.finding).toMatchObject({ reason: "fails", offset: 1, error: "RangeError: seven points" });
});

test("a message that is a dead letter already may fail again, and its coming back is a difference", async () => {
	const scan = await made(card(noSevens));
	await scan("ann", 1, 7, 2);
	await stop();
	expect((await checked(card(noSevens)))[0]?.finding).toBe(undefined);
	const [ann] = await checked(current);
	expect(ann?.finding).toMatchObject({
		reason: "differs",
		offset: 2,
		path: "state.machine.context.points",
		before: 3,
		after: 10,
	});
});

test("without the old machine a difference is seen at the stored state, with it at the first message that makes one", async () => {
	const scan = await made();
	await scan("ann", 1, 5, 2);
	await scan("ben", 1);
	await stop();
	const double = card((context, points) => plain(context, points === 5 ? 10 : points));
	const difference = { reason: "differs", path: "state.machine.context.points" };
	const [stored, ben] = await checked(double);
	expect(stored?.finding).toMatchObject({ ...difference, offset: 2, before: 8, after: 13 });
	expect(ben?.finding).toBe(undefined);
	const against: Behaviours = new Map([["card", current.behaviour]]);
	const [first] = await checked(double, { against });
	expect(first?.finding).toMatchObject({ ...difference, offset: 1, before: 6, after: 11 });
});

test("since a time: actors without a message since then are left out, and so is what failed before", async () => {
	const scan = await made();
	await scan("old", 7);
	await scan("ann", 7);
	await stage.time.advance(AN_HOUR_MS);
	const since = stage.time.now();
	await scan("ann", 1);
	await stop();
	const against: Behaviours = new Map([["card", card(noSevens).behaviour]]);
	expect(
		(await checked(card(noSevens), { since, against })).map(({ address, finding }) => [address, finding]),
	).toEqual([["card/ann", undefined]]);
	const [ann] = await checked(card(noSevens), { since });
	expect(ann?.finding).toMatchObject({ reason: "differs", before: 8, after: 1 });
});

test("a stored state is migrated before it is compared; one that cannot be is named", async () => {
	const scan = await made();
	await scan("ann", 1, 2);
	await stop();
	const counting = (context: Card, points: number): Card => ({
		points: context.points + points,
		scans: (context.scans ?? 0) + 1,
	});
	const start = { points: 0, scans: 0 };
	const migrated = (scans: number) => ({
		version: 2,
		migrate: ({ value, context }: { value: unknown; context: unknown }) => ({
			value,
			context: { ...(context as Card), scans },
		}),
	});
	expect((await checked(card(counting, migrated(2), start)))[0]?.finding).toBe(undefined);
	const [other] = await checked(card(counting, migrated(0), start));
	expect(other?.finding).toMatchObject({
		reason: "differs",
		path: "state.machine.context.scans",
		before: 0,
		after: 2,
	});
	const refusing = { version: 2, onMismatch: "refuse" } as const;
	const [refused] = await checked(card(counting, refusing, start));
	expect(refused?.finding).toMatchObject({ reason: "migration", offset: 1 });
});

test("a damaged snapshot is named, not compared", async () => {
	const scan = await made();
	await scan("ann", 1);
	await stop();
	stage.disk.damageRow("card/ann");
	const log = (await stage.start([current])).log;
	const parts = {
		log,
		snapshots: stage.disk.open(),
		behaviours: new Map([["card", current.behaviour]]),
		partitions: 1,
	};
	for await (const { compared, finding } of checkHistories(parts)) {
		expect([compared, finding?.reason]).toEqual([false, "corrupt"]);
	}
});
