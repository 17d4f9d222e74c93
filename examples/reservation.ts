/**
 * A reservation that is held until it is paid: reminders again and again, an end when time is up, and all of it as
 * durable as the reservation, so that no reminder is forgotten and none comes after the end, whatever restarts meanwhile.
 * Run it with `node examples/reservation.ts`; it makes a directory for its log and removes it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { assign, cancel, emit, setup } from "xstate";
import { SqliteLog, SqliteSnapshots } from "../persistence/index.ts";
import { createNode, defineActor, durableActions, type EventMeta } from "../runtime/index.ts";

type ReservationEvent = (
	| { type: "reserve"; guest: string }
	| { type: "remind"; dueAt: number }
	| { type: "pay" }
	| { type: "cancel" }
) & { meta: EventMeta };

export interface ReservationTimes {
	/** How long it is held unpaid, milliseconds. */
	readonly payMs: number;
	/** Between two reminders, milliseconds; at least 100. */
	readonly remindEveryMs: number;
}

/** What those who follow a reservation hear, by mail or on a page. */
export type ReservationNews =
	| { type: "reminded"; guest: string; count: number }
	| { type: "gone"; guest: string };

export function reservationWith({ payMs, remindEveryMs }: ReservationTimes) {
	const machine = setup({
		types: {
			context: {} as { guest: string; reminders: number },
			events: {} as ReservationEvent,
			emitted: {} as ReservationNews,
		},
		actions: {
			...durableActions,
			note: assign({
				guest: ({ context, event }) => (event.type === "reserve" ? event.guest : context.guest),
			}),
			count: assign({ reminders: ({ context }) => context.reminders + 1 }),
		},
		delays: { payment: payMs },
	}).createMachine({
		context: { guest: "", reminders: 0 },
		initial: "open",
		states: {
			open: { on: { reserve: { target: "held", actions: "note" } } },
			held: {
				entry: {
					type: "schedule",
					// A node that was down says once what it has missed.
					params: { id: "reminder", event: { type: "remind" }, everyMs: remindEveryMs, missed: "once" },
				},
				exit: cancel("reminder"),
				after: {
					payment: {
						target: "expired",
						actions: emit(({ context }) => ({ type: "gone", guest: context.guest })),
					},
				},
				on: {
					remind: {
						actions: [
							"count",
							emit(({ context }) => ({ type: "reminded", guest: context.guest, count: context.reminders })),
						],
					},
					pay: { target: "paid", actions: { type: "reply", params: { value: "paid" } } },
					cancel: { target: "cancelled", actions: { type: "reply", params: { value: "cancelled" } } },
				},
			},
			paid: { on: { "*": { actions: { type: "reply", params: { error: "it is paid" } } } } },
			cancelled: { on: { "*": { actions: { type: "reply", params: { error: "it is cancelled" } } } } },
			expired: { on: { "*": { actions: { type: "reply", params: { error: "its time is up" } } } } },
		},
	});
	// `deadline`: the end is a moment that the guest was told, a node that was down does not move it.
	return defineActor({ type: "reservation", version: 1, machine, delays: { payment: "deadline" } });
}

async function main(): Promise<void> {
	const directory = mkdtempSync(join(tmpdir(), "mycelog-reservation-"));
	const reservation = reservationWith({ payMs: 1_500, remindEveryMs: 400 });
	const open = () =>
		createNode({
			log: new SqliteLog({ directory }),
			snapshots: new SqliteSnapshots({ directory }),
			actors: [reservation],
			partitions: 8,
		});
	let node = open();
	await node.start();
	for (const guest of ["ann", "ben", "cem"]) {
		await node.ref("reservation", guest).tell({ type: "reserve", guest }, { id: "reserve" });
	}
	const ask = async (guest: string, type: "pay" | "cancel") =>
		console.log(
			`${guest} wants to ${type}: ${await node
				.ref("reservation", guest)
				.ask({ type })
				.catch((error: Error) => error.message)}`,
		);
	await ask("ben", "pay");
	await ask("cem", "cancel");
	let next = 0;
	for await (const { event, offset } of node.ref("reservation", "ann").emitted()) {
		console.log(`${event["guest"]} is reminded`);
		next = offset + 1;
		break;
	}
	await node.stop();
	console.log("the node stops, and starts again");
	node = open();
	await node.start();
	for await (const { event } of node.ref("reservation", "ann").emitted({ from: next })) {
		if (event.type === "gone") break;
	}
	console.log("time is up: ann's reservation is gone");
	await ask("ann", "pay");
	for (const guest of ["ben", "cem"]) {
		const { value, context } = await node.ref("reservation", guest).state();
		console.log(`${guest}: ${value}, ${context.reminders} reminders`);
	}
	await node.stop();
	rmSync(directory, { recursive: true });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
