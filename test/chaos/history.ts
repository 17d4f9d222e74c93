/**
 * The history check: what clients were told, what lies in the mailboxes and what the actors say they are, held against
 * each other. Owns the rules; each violation is said in words that a person can follow.
 *
 * The mailboxes are folded here by a small fold of its own: it shares the ledger's arithmetic with the nodes, and
 * nothing of how they recognise repeats, keep timers, make snapshots or hand partitions over.
 */
import { type LogRecord, partitionName } from "../../persistence/log.ts";
import { type Address, partitionOf, typeOf } from "../../runtime/address.ts";
import { firstDifference } from "../../runtime/difference.ts";
import { eventOf, type Message, messageOf } from "../../runtime/message.ts";
import { EMPTY_LEDGER, type LedgerState, ledgerBehaviours, ledgerStep, type Receipt } from "../kit/ledger.ts";

/** One command of a client and what it was told about it. */
export interface ClientCall {
	readonly id: string;
	readonly to: Address;
	/** `once` may be sent many times. */
	readonly kind: "entry" | "once";
	/**
	 * - `answered`: with `receipt`;
	 * - `accepted`: durable at `offset`;
	 * - `unknown`: refused, timed out, or its process died: it may have an effect or none.
	 */
	outcome: "answered" | "accepted" | "unknown";
	receipt?: Receipt;
	offset?: number;
}

/** What somebody says the state of an actor is, everything being quiet. */
export interface SeenState {
	/** Who says so. */
	readonly where: string;
	readonly address: Address;
	readonly state: LedgerState;
}

export interface History {
	/** Whole mailbox partitions from their first record, by `topic/number`. */
	readonly mailboxes: ReadonlyMap<string, readonly LogRecord[]>;
	/** Of each mailbox topic. */
	readonly partitions: number;
	readonly calls: readonly ClientCall[];
	readonly states: readonly SeenState[];
}

/** An actor as its mailbox has it. */
interface Account {
	state: LedgerState;
	/** Deadlines by bell. */
	readonly timers: Map<string, number>;
	/** Offsets at which each id was booked. */
	readonly booked: Map<string, number[]>;
	/** What was due as a receipt at each offset at which something was booked. */
	readonly receipts: Map<number, Receipt>;
	/** Ids in each record, repeats too. */
	readonly ids: Map<number, string>;
}

const TOPIC_OF = new Map(ledgerBehaviours.map(({ type, topic }) => [type, topic]));

export function violations(history: History): string[] {
	const accounts = accountsOf(history.mailboxes);
	return [
		...recordsAreWhereTheyBelong(history),
		...acceptedAreBooked(history, accounts),
		...nothingIsBookedTwice(accounts),
		...nothingIsInvented(history, accounts),
		...ordersHold(accounts),
		...passedOnArrived(accounts),
		...bellsRang(accounts),
		...repliesMatch(history, accounts),
		...statesMatch(history, accounts),
	];
}

/** Addresses with a history, for whoever asks the actors. */
export function addressesIn(mailboxes: History["mailboxes"]): Address[] {
	return [...accountsOf(mailboxes)]
		.filter(([, { ids }]) => ids.size > 0)
		.map(([address]) => address)
		.sort();
}

/** What is on its way and will be in the mailboxes in a while, if nothing is lost. */
export function unfinished(mailboxes: History["mailboxes"]): string[] {
	const accounts = accountsOf(mailboxes);
	return [...passedOnArrived(accounts), ...bellsRang(accounts)];
}

function accountsOf(mailboxes: History["mailboxes"]): Map<Address, Account> {
	const accounts = new Map<Address, Account>();
	for (const records of mailboxes.values()) foldMailbox(records, accounts);
	return accounts;
}

function foldMailbox(records: readonly LogRecord[], accounts: Map<Address, Account>): void {
	/** Newest numbers of each source in this mailbox. */
	const newest = new Map<string, readonly [number, number]>();
	for (const record of records) {
		if (!isForActor(record)) continue;
		const message = messageOf(record);
		if ("unreadable" in message) throw new Error(`offset ${record.offset} of ${record.key} is unreadable`);
		const { origin, kind } = message;
		if (!origin) throw new Error(`offset ${record.offset} of ${record.key} has no origin`);
		const account = accountOf(message.to, accounts);
		const id = idOf(message);
		if (id) account.ids.set(record.offset, id);
		const [major, minor] = newest.get(origin.source) ?? [-1, -1];
		if (origin.major < major || (origin.major === major && origin.minor <= minor)) continue;
		newest.set(origin.source, [origin.major, origin.minor]);
		if (kind === "command" || (kind === "timer" && ringsNow(account, message))) book(account, message, id);
	}
}

function book(account: Account, message: Message, id: string | undefined): void {
	const before = account.state.entries;
	const { state, effects } = ledgerStep(account.state, message);
	account.state = state;
	for (const effect of effects) {
		if (effect.type === "schedule") account.timers.set(effect.id, effect.at);
		if (effect.type === "reply" && effect.result.ok) {
			account.receipts.set(message.offset, effect.result.value as Receipt);
		}
	}
	if (state.entries === before || id === undefined) return;
	account.booked.set(id, [...(account.booked.get(id) ?? []), message.offset]);
}

function ringsNow({ timers }: Account, { facts }: Message): boolean {
	const bell = facts?.["timer"] ?? "";
	if (String(timers.get(bell)) !== facts?.["at"]) return false;
	timers.delete(bell);
	return true;
}

function* recordsAreWhereTheyBelong({ mailboxes, partitions }: History) {
	for (const [name, records] of mailboxes) {
		for (const record of records) {
			if (!isForActor(record)) continue;
			const topic = TOPIC_OF.get(typeOf(record.key)) ?? "";
			const home = partitionName({ topic, partition: partitionOf(record.key, partitions) });
			if (home !== name) yield `a record for ${record.key} lies in ${name}, its mailbox is in ${home}`;
		}
	}
}

function* acceptedAreBooked({ calls }: History, accounts: ReadonlyMap<Address, Account>) {
	for (const { id, to, outcome, offset } of calls) {
		if (outcome === "unknown") continue;
		const account = accounts.get(to);
		const booked = account?.booked.get(id) ?? [];
		if (booked.length === 0) yield `lost: ${id} to ${to} was ${outcome} and is not booked`;
		if (outcome !== "accepted" || offset === undefined) continue;
		const there = account?.ids.get(offset);
		if (there !== id)
			yield `lost: ${id} to ${to} was accepted at ${offset}, where ${there ?? "nothing"} lies`;
	}
}

function* nothingIsBookedTwice(accounts: ReadonlyMap<Address, Account>) {
	for (const [address, { booked }] of accounts) {
		for (const [id, offsets] of booked) {
			if (offsets.length > 1) yield `doubled: ${address} booked ${id} at offsets ${offsets.join(", ")}`;
		}
	}
}

function* nothingIsInvented({ calls }: History, accounts: ReadonlyMap<Address, Account>) {
	const known = new Set(calls.map(({ id }) => id));
	for (const [address, { booked }] of accounts) {
		for (const id of booked.keys()) if (!known.has(id)) yield `${address} booked ${id}, which nobody sent`;
	}
}

function* ordersHold(accounts: ReadonlyMap<Address, Account>) {
	for (const [address, { state }] of accounts) {
		for (const wrong of state.wrong) yield `out of order: ${address} heard ${wrong}`;
	}
}

function* passedOnArrived(accounts: ReadonlyMap<Address, Account>) {
	for (const [from, { state }] of accounts) {
		for (const [to, last] of Object.entries(state.sent)) {
			const heard = accounts.get(to)?.state.heard[from] ?? 0;
			if (heard !== last) yield `lost: ${from} passed ${last} entries on to ${to}, which heard ${heard}`;
		}
	}
}

function* bellsRang(accounts: ReadonlyMap<Address, Account>) {
	for (const [address, { state }] of accounts) {
		for (const bell of state.armed) yield `lost: bell ${bell} of ${address} never rang`;
	}
}

function* repliesMatch({ calls }: History, accounts: ReadonlyMap<Address, Account>) {
	for (const { id, to, kind, receipt } of calls) {
		if (!receipt) continue;
		const account = accounts.get(to);
		const due = kind === "once" ? account?.state.once[id] : account?.receipts.get(receipt.offset);
		const difference = due ? firstDifference(receipt, due) : { path: "", left: receipt, right: undefined };
		if (difference) {
			const { path, left, right } = difference;
			yield `wrong reply: ${id} to ${to} was told ${path} ${JSON.stringify(left)} at ${receipt.offset}, its mailbox says ${JSON.stringify(right)}`;
		} else if (!account?.booked.get(id)?.includes(receipt.offset)) {
			yield `wrong reply: ${id} to ${to} was answered for offset ${receipt.offset}, where another entry lies`;
		}
	}
}

function* statesMatch({ states }: History, accounts: ReadonlyMap<Address, Account>) {
	for (const { where, address, state } of states) {
		const difference = firstDifference(state, accounts.get(address)?.state ?? EMPTY_LEDGER);
		if (!difference) continue;
		const { path, left, right } = difference;
		yield `wrong state: ${where} has ${address} with ${path} ${JSON.stringify(left)}, its mailbox says ${JSON.stringify(right)}`;
	}
}

function accountOf(address: Address, accounts: Map<Address, Account>): Account {
	let account = accounts.get(address);
	if (!account) {
		account = {
			state: EMPTY_LEDGER,
			timers: new Map(),
			booked: new Map(),
			receipts: new Map(),
			ids: new Map(),
		};
		accounts.set(address, account);
	}
	return account;
}

/** What nodes write into mailboxes for each other has no actor's address. */
function isForActor(record: LogRecord): boolean {
	return TOPIC_OF.has(record.key.slice(0, record.key.indexOf("/")));
}

function idOf(message: Message): string | undefined {
	if (message.kind !== "command") return undefined;
	const { id } = eventOf(message);
	return typeof id === "string" ? id : undefined;
}
