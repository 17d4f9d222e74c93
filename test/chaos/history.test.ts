/** The history check itself: a history without fault passes, and every kind of fault planted in it is found. */
import { beforeEach, expect, test } from "vitest";
import { type LogRecord, type NewRecord, partitionName } from "../../persistence/log.ts";
import { partitionOf } from "../../runtime/address.ts";
import { type Event, encodeBody, type Origin, recordOf } from "../../runtime/message.ts";
import { digestOf, EMPTY_LEDGER, type LedgerState } from "../kit/ledger.ts";
import { type ClientCall, type History, type SeenState, unfinished, violations } from "./history.ts";

const PARTITIONS = 4;
const A = "ledger/a";
const B = "ledger/b";
const C = "slip/c";
const SOURCE = "n1~1";

let mailboxes: Map<string, LogRecord[]>;
let calls: ClientCall[];
let states: SeenState[];
let sent: number;

beforeEach(() => {
	mailboxes = new Map();
	calls = [];
	states = [];
	sent = 0;
});

function mailbox(address: string): string {
	const topic = address.startsWith("slip/") ? "clients" : "actors";
	return partitionName({ topic, partition: partitionOf(address, PARTITIONS) });
}

function append(record: NewRecord): LogRecord {
	const records = mailboxes.get(mailbox(record.key)) ?? [];
	mailboxes.set(mailbox(record.key), records);
	const stored = { ...record, offset: records.length };
	records.push(stored);
	return stored;
}

function command(to: string, event: Event, origin: Origin, from?: string): LogRecord {
	const replyTo = { node: SOURCE, ask: "1" };
	const body = encodeBody(event);
	return append(
		recordOf(
			{ to, kind: "command", type: event.type, body, replyTo, ...(from ? { from } : {}) },
			origin,
			1_000,
		),
	);
}

function next(): Origin {
	return { source: SOURCE, major: ++sent, minor: 0 };
}

function entry(to: string, id: string, n: number, more: object = {}): LogRecord {
	return command(to, { type: "entry", id, sender: "x", n, amount: 5, onward: [], ...more }, next());
}

function call(id: string, to: string, more: Partial<ClientCall>): void {
	calls.push({ id, to, kind: "entry", outcome: "unknown", ...more });
}

function history(): History {
	return { mailboxes, partitions: PARTITIONS, calls, states };
}

function digest(...ids: string[]): number {
	return ids.reduce(digestOf, 0);
}

/** Two entries at A, of which the second is passed on to B and C and rings a bell; one at C that was sent twice. */
function sound(): void {
	const first = entry(A, "e1", 1);
	const second = entry(A, "e2", 2, { onward: [B, C], bellMs: 10 });
	const passed = { type: "passed", id: "e2", n: 1, amount: 5 };
	const fromA = { source: mailbox(A), major: second.offset, minor: 0 };
	const atB = command(B, { ...passed, onward: [C] }, fromA, A);
	command(C, { ...passed, onward: [] }, { source: mailbox(B), major: atB.offset, minor: 0 }, B);
	const ring = { to: A, kind: "timer", type: "ring", body: encodeBody({ type: "ring", id: "e2" }) } as const;
	append(recordOf({ ...ring, facts: { timer: "e2", at: "1010" } }, next(), 1_010));
	const once = command(C, { type: "once", id: "o1", amount: 7 }, next());
	command(C, { type: "once", id: "o1", amount: 7 }, next());
	const atA = { offset: second.offset, entries: 2, balance: 10, digest: digest("e1", "e2") };
	const atC = { offset: once.offset, entries: 2, balance: 12, digest: digest("e2", "o1") };
	call("e1", A, { outcome: "accepted", offset: first.offset });
	call("e2", A, { outcome: "answered", receipt: atA });
	call("o1", C, { kind: "once", outcome: "answered", receipt: atC });
	const { offset: _, ...bookedAtA } = atA;
	const { offset: __, ...bookedAtC } = atC;
	seen(A, { ...bookedAtA, heard: { x: 2 }, sent: { [B]: 1 }, rung: 1 });
	seen(B, { entries: 1, balance: 5, digest: digest("e2"), heard: { [A]: 1 }, sent: { [C]: 1 } });
	seen(C, { ...bookedAtC, heard: { [B]: 1 }, once: { o1: atC } });
}

function seen(address: string, state: Partial<LedgerState>): void {
	states.push({ where: "n1", address, state: { ...EMPTY_LEDGER, ...state } });
}

/** The first record that fits, taken out of its mailbox. */
function takeOut(fits: (record: LogRecord) => boolean): LogRecord {
	for (const records of mailboxes.values()) {
		const index = records.findIndex(fits);
		if (index >= 0) return records.splice(index, 1)[0] as LogRecord;
	}
	throw new Error("no such record");
}

/** Sent once more, as if by somebody else. */
function again(record: LogRecord): LogRecord {
	return append({ ...record, headers: { ...record.headers, "~s": `n9~9@${++sent}.0` } });
}

const isPassedTo = (to: string) => (record: LogRecord) =>
	record.key === to && record.headers["~t"] === "passed";
const isRing = (record: LogRecord) => record.headers["~k"] === "t";

test("a history in which all is well has no violations", () => {
	sound();
	expect(violations(history())).toEqual([]);
	expect(unfinished(mailboxes)).toEqual([]);
});

test("records that nodes repeat, under the origins they had, have one effect", () => {
	sound();
	const repeated = [...mailboxes.values()].flat();
	for (const record of repeated) append(record);
	expect(violations(history())).toEqual([]);
});

test("a command whose outcome nobody knows may have an effect or none", () => {
	sound();
	call("never", A, { outcome: "unknown" });
	entry(B, "late", 1);
	call("late", B, { outcome: "unknown" });
	states.pop();
	states.splice(1, 1);
	expect(violations(history())).toEqual([]);
});

test("a record of the nodes' own, with no actor's address, is passed over", () => {
	sound();
	mailboxes
		.get(mailbox(A))
		?.push({ key: "", value: new Uint8Array(), headers: {}, timestamp: 1, offset: 99 });
	expect(violations(history())).toEqual([]);
});

/** Each spoils a sound history in one way; the first words of what must be found. */
const PLANTED: readonly [what: string, plant: () => void, found: RegExp][] = [
	[
		"an accepted command that is not in its mailbox",
		() => takeOut(({ headers, key }) => key === A && headers["~t"] === "entry"),
		/^lost: e1 to ledger\/a was accepted and is not booked$/,
	],
	[
		"an accepted command that lies at another offset than was said",
		() => Object.assign(calls[0] as ClientCall, { offset: 1 }),
		/^lost: e1 to ledger\/a was accepted at 1, where e2 lies$/,
	],
	[
		"an answered command that is nowhere",
		() => call("gone", B, { outcome: "answered" }),
		/^lost: gone to ledger\/b/,
	],
	["a command that is applied twice", () => again(copy(A)), /^doubled: ledger\/a booked e1 at offsets/],
	["a passed entry that is applied twice", () => again(copy(B)), /^doubled: ledger\/b booked e2/],
	[
		"a passed entry that never came",
		() => takeOut(isPassedTo(C)),
		/^lost: ledger\/b passed 1 entries on to slip\/c/,
	],
	["a bell that never rang", () => takeOut(isRing), /^lost: bell e2 of ledger\/a never rang$/],
	[
		"commands of one sender in the wrong order",
		() => {
			entry(B, "e4", 4);
			entry(B, "e3", 3);
			for (const id of ["e3", "e4"]) call(id, B, {});
		},
		/^out of order: ledger\/b heard x: 3 after 4$/,
	],
	[
		"an effect that nobody asked for",
		() => entry(B, "forged", 1),
		/^ledger\/b booked forged, which nobody sent$/,
	],
	[
		"a reply that does not match the state at its offset",
		() => Object.assign(calls[1]?.receipt as object, { balance: 9 }),
		/^wrong reply: e2 to ledger\/a was told balance 9 at 1, its mailbox says 10$/,
	],
	[
		"a reply for another entry's offset",
		() => {
			const { receipt } = calls[1] as ClientCall;
			const state = { offset: 0, entries: 1, balance: 5, digest: digest("e1") };
			Object.assign(receipt as object, state);
		},
		/^wrong reply: e2 to ledger\/a was answered for offset 0, where another entry lies$/,
	],
	[
		"a careful caller that is told of a second effect",
		() => Object.assign(calls[2]?.receipt as object, { entries: 3 }),
		/^wrong reply: o1 to slip\/c was told entries 3/,
	],
	[
		"a node whose state is older than its mailbox",
		() => Object.assign(states[0]?.state as object, { entries: 1, balance: 5, digest: digest("e1") }),
		/^wrong state: n1 has ledger\/a with balance 5, its mailbox says 10$/,
	],
	[
		"a state that booked the same in another order",
		() => Object.assign(states[0]?.state as object, { digest: digest("e2", "e1") }),
		/^wrong state: n1 has ledger\/a with digest/,
	],
	[
		"a record in another actor's partition",
		() => {
			const record = takeOut(isPassedTo(C));
			mailboxes.get(mailbox(A))?.push({ ...record, offset: 50 });
		},
		/^a record for slip\/c lies in actors\/\d, its mailbox is in clients\/\d$/,
	],
];

function copy(address: string): LogRecord {
	return mailboxes.get(mailbox(address))?.find(({ key }) => key === address) as LogRecord;
}

test.each(PLANTED)("the check finds %s", (_, plant, found) => {
	sound();
	plant();
	expect(violations(history())).toContainEqual(expect.stringMatching(found));
});

test("what is only on its way is unfinished, until it came", () => {
	sound();
	takeOut(isRing);
	takeOut(isPassedTo(B));
	expect(unfinished(mailboxes).sort()).toEqual([
		"lost: bell e2 of ledger/a never rang",
		"lost: ledger/a passed 1 entries on to ledger/b, which heard 0",
	]);
});
