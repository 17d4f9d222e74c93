/**
 * A small actor to fold: it counts and can be paused. Owns the machine, and logs full of its mail.
 */
import { setup } from "xstate";
import { SqliteLog } from "../persistence/log-sqlite.ts";
import { partitionOf } from "../runtime/address.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import { machineBehaviour } from "../runtime/machine-behaviour.ts";
import { encodeBody, recordOf } from "../runtime/message.ts";
import { ACTORS_TOPIC, CLIENTS_RETENTION_MS_DEFAULT, mailboxTopics } from "../runtime/topics.ts";

/** Records of one append while a log is filled. */
const FILL_BATCH_RECORDS = 500;
/** One record in so many pauses or resumes its actor. */
const PAUSE_EVERY = 10;

type TallyEvent = { type: "add"; by: number } | { type: "pause" } | { type: "resume" };

const machine = setup({
	types: { context: {} as { count: number; total: number }, events: {} as TallyEvent },
});

export const tallyBehaviour: Behaviour = machineBehaviour({
	type: "tally",
	version: 1,
	topic: ACTORS_TOPIC,
	machine: machine.createMachine({
		id: "tally",
		context: { count: 0, total: 0 },
		initial: "open",
		states: {
			open: {
				on: {
					add: {
						actions: machine.assign({
							count: ({ context }) => context.count + 1,
							total: ({ context, event }) => context.total + ("by" in event ? event.by : 0),
						}),
					},
					pause: "paused",
				},
			},
			paused: { on: { resume: "open" } },
		},
	}),
});

export function topicsOf(partitions: number) {
	return mailboxTopics(partitions, CLIENTS_RETENTION_MS_DEFAULT);
}

export function tallyAddress(index: number): string {
	return `tally/bench/${index}`;
}

/** A log in `directory` with `records` commands, dealt out to `actors` tallies in turn. */
export async function fillWithTallies(
	directory: string,
	{ actors, records, partitions }: { actors: number; records: number; partitions: number },
): Promise<void> {
	const log = new SqliteLog({ directory, durability: "process" });
	await log.open(topicsOf(partitions));
	const bodies = ["pause", "resume"].map((type) => ({ type, body: encodeBody({ type }) }));
	const add = { type: "add", body: encodeBody({ type: "add", by: 3 }) };
	const waiting = Array.from({ length: partitions }, () => [] as ReturnType<typeof recordOf>[]);
	const turns = new Array<number>(actors).fill(0);
	const flush = (partition: number) => {
		const batch = waiting[partition]?.splice(0) ?? [];
		return batch.length > 0 ? log.append({ topic: ACTORS_TOPIC, partition }, batch) : Promise.resolve(0);
	};
	for (let i = 0; i < records; i++) {
		const to = tallyAddress(i % actors);
		const turn = (turns[i % actors] as number)++ % (2 * PAUSE_EVERY);
		const { type, body } =
			turn % PAUSE_EVERY === 0 ? (bodies[turn / PAUSE_EVERY] as (typeof bodies)[0]) : add;
		const partition = partitionOf(to, partitions);
		const origin = { source: "bench~1", major: i + 1, minor: 0 };
		waiting[partition]?.push(recordOf({ to, kind: "command", type, body }, origin, Date.now()));
		if ((waiting[partition]?.length ?? 0) >= FILL_BATCH_RECORDS) await flush(partition);
	}
	await Promise.all(waiting.map((_, partition) => flush(partition)));
	await log.close(10_000);
}
