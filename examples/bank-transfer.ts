/**
 * A bank transfer as a saga: money leaves one account, arrives at another, or comes back, whatever crashes in between.
 * Run it with `node examples/bank-transfer.ts`; it makes a directory for its log and removes it.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { assign, setup } from "xstate";
import { SqliteLog, SqliteSnapshots } from "../persistence/index.ts";
import { createNode, defineActor, durableActions, type EventMeta } from "../runtime/index.ts";

type AccountEvent = (
	| { type: "deposit"; amount: number }
	| { type: "freeze" }
	| { type: "thaw" }
	| { type: "withdraw"; amount: number; transfer: string }
	| { type: "receive"; amount: number; transfer: string }
	| { type: "refund"; amount: number }
) & { meta: EventMeta };

/** Answers each step of a transfer by an event, so that the answer is as durable as the step. */
export const account = defineActor({
	type: "account",
	version: 1,
	machine: setup({
		types: { context: {} as { balance: number }, events: {} as AccountEvent },
		actions: {
			...durableActions,
			add: assign({
				balance: ({ context, event }) => context.balance + ("amount" in event ? event.amount : 0),
			}),
			take: assign({
				balance: ({ context, event }) => context.balance - ("amount" in event ? event.amount : 0),
			}),
		},
		guards: { covered: ({ context, event }) => "amount" in event && event.amount <= context.balance },
	}).createMachine({
		context: { balance: 0 },
		initial: "open",
		on: { deposit: { actions: "add" }, refund: { actions: "add" } },
		states: {
			open: {
				on: {
					freeze: "frozen",
					withdraw: [
						{
							guard: "covered",
							actions: [
								"take",
								{
									type: "tell",
									params: ({ event }) => ({ to: event.transfer, event: { type: "withdrawn" } }),
								},
							],
						},
						{
							actions: {
								type: "tell",
								params: ({ event }) => ({
									to: event.transfer,
									event: { type: "refused", why: "not enough money" },
								}),
							},
						},
					],
					receive: {
						actions: [
							"add",
							{ type: "tell", params: ({ event }) => ({ to: event.transfer, event: { type: "received" } }) },
						],
					},
				},
			},
			frozen: {
				on: {
					thaw: "open",
					"*": {
						guard: ({ event }) => "transfer" in event,
						actions: {
							type: "tell",
							params: ({ event }) => ({
								to: (event as { transfer: string }).transfer,
								event: { type: "refused", why: "the account is frozen" },
							}),
						},
					},
				},
			},
		},
	}),
});

type TransferEvent = (
	| { type: "start"; from: string; to: string; amount: number }
	| { type: "withdrawn" }
	| { type: "received" }
	| { type: "refused"; why: string }
) & { meta: EventMeta };

export const transfer = defineActor({
	type: "transfer",
	version: 1,
	machine: setup({
		types: {
			context: {} as { from: string; to: string; amount: number; why: string; asker?: EventMeta["replyTo"] },
			events: {} as TransferEvent,
		},
		actions: {
			...durableActions,
			note: assign({ why: ({ context, event }) => (event.type === "refused" ? event.why : context.why) }),
		},
	}).createMachine({
		context: { from: "", to: "", amount: 0, why: "" },
		initial: "new",
		states: {
			new: {
				on: {
					start: {
						target: "withdrawing",
						actions: assign({
							from: ({ event }) => event.from,
							to: ({ event }) => event.to,
							amount: ({ event }) => event.amount,
							asker: ({ event }) => event.meta.replyTo,
						}),
					},
				},
			},
			withdrawing: {
				entry: {
					type: "tell",
					params: ({ context, event }) => ({
						to: `account/${context.from}`,
						event: { type: "withdraw", amount: context.amount, transfer: event.meta.address },
					}),
				},
				on: { withdrawn: "depositing", refused: { target: "failed", actions: "note" } },
			},
			depositing: {
				entry: {
					type: "tell",
					params: ({ context, event }) => ({
						to: `account/${context.to}`,
						event: { type: "receive", amount: context.amount, transfer: event.meta.address },
					}),
				},
				on: {
					received: "done",
					refused: {
						target: "failed",
						actions: [
							"note",
							{
								type: "tell",
								params: ({ context }) => ({
									to: `account/${context.from}`,
									event: { type: "refund", amount: context.amount },
								}),
							},
						],
					},
				},
			},
			done: {
				type: "final",
				entry: { type: "reply", params: ({ context }) => ({ to: context.asker, value: "done" }) },
			},
			failed: {
				type: "final",
				entry: { type: "reply", params: ({ context }) => ({ to: context.asker, error: context.why }) },
			},
		},
	}),
});

async function main(): Promise<void> {
	const directory = mkdtempSync(join(tmpdir(), "mycelog-bank-"));
	const node = createNode({
		log: new SqliteLog({ directory }),
		snapshots: new SqliteSnapshots({ directory }),
		actors: [account, transfer],
		partitions: 8,
	});
	await node.start();
	const ann = node.ref("account", "ann");
	const ben = node.ref("account", "ben");
	const show = async (what: string) => {
		const [left, right] = [await ann.state(), await ben.state()];
		console.log(`${what}: ann has ${left.context.balance}, ben has ${right.context.balance}`);
	};
	const send = (id: string, amount: number) =>
		node
			.ref("transfer", id)
			.ask({ type: "start", from: "ann", to: "ben", amount }, { id: "start" })
			.catch((error: Error) => error.message);
	await ann.tell({ type: "deposit", amount: 100 });
	await show("at first");
	console.log(`a transfer of 30: ${await send("t1", 30)}`);
	console.log(`the same once more: ${await send("t1", 30)}`);
	await show("it counted once");
	console.log(`a transfer of 500: ${await send("t2", 500)}`);
	await ben.tell({ type: "freeze" });
	console.log(`a transfer to a frozen account: ${await send("t3", 20)}`);
	await show("the money came back");
	await node.stop();
	rmSync(directory, { recursive: true });
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
