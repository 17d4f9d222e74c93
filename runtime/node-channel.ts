/**
 * Messages between node processes that belong to no actor: replies, deliveries and signals for sockets elsewhere.
 * Owns the node topic's records; a process reads only its own topic, from the time it started.
 */
import { decode, encode } from "@msgpack/msgpack";
import type { Appender } from "../persistence/appender.ts";
import { MycelogError } from "../persistence/errors.ts";
import type { Log, LogRecord } from "../persistence/log.ts";
import type { Clock } from "./clock.ts";
import type { Outlet, ReplyResult } from "./effect.ts";
import type { Logger } from "./logger.ts";
import { type Event, type Message, messageOf, type ReplyTo } from "./message.ts";
import { type NodeName, nodeIdOf } from "./node-name.ts";
import { NODE_RETENTION_MS, nodePartition } from "./topics.ts";

/** Records a read of the own topic takes at most. */
const READ_RECORDS_MAX = 500;
/** How long one read waits for news, milliseconds; also the delay a stop may see. */
const READ_WAIT_MS = 500;
/** Pause after a failed read, milliseconds. */
const READ_RETRY_MS = 1_000;
/** A reply that could not be sent for this long has lost its meaning, milliseconds. */
const REPLY_DEADLINE_MS = 30_000;
/**
 * A delivery or signal, milliseconds: as long as the topic keeps records. Giving up sooner would leave a hole in front
 * of the next delivery, which its connection could not know of.
 */
const DELIVERY_DEADLINE_MS = NODE_RETENTION_MS;

export interface ChannelReceiver {
	reply(ask: string, result: ReplyResult): void;
	deliver(connection: string, message: Message): void;
	signal(connection: string, signal: Event): void;
}

export class NodeChannel {
	readonly #log: Log;
	readonly #appender: Appender;
	readonly #node: NodeName;
	readonly #clock: Clock;
	readonly #logger: Logger;
	#reading: Promise<void> | undefined;
	#stopped = false;

	constructor(parts: { log: Log; appender: Appender; node: NodeName; clock: Clock; logger: Logger }) {
		this.#log = parts.log;
		this.#appender = parts.appender;
		this.#node = parts.node;
		this.#clock = parts.clock;
		this.#logger = parts.logger;
	}

	async start(receiver: ChannelReceiver): Promise<void> {
		const { end } = await this.#log.bounds(nodePartition(this.#node.id));
		this.#reading = this.#read(end, receiver);
	}

	async stop(): Promise<void> {
		this.#stopped = true;
		await this.#reading;
	}

	sendReply(to: ReplyTo, result: ReplyResult): Promise<number> {
		return this.#send(to.node, { kind: "reply", ask: to.ask }, encodeResult(result), REPLY_DEADLINE_MS);
	}

	sendSignal(outlet: Outlet, signal: Event): Promise<number> {
		const facts = { kind: "signal", connection: outlet.connection };
		return this.#send(outlet.node, facts, encode(signal, { ignoreUndefined: true }), DELIVERY_DEADLINE_MS);
	}

	/** The message travels as the record it is, with its offset, so that the session can order and acknowledge it. */
	sendDelivery(outlet: Outlet, message: Message): Promise<number> {
		const facts = { kind: "deliver", connection: outlet.connection, offset: String(message.offset) };
		return this.#send(outlet.node, facts, message.body, DELIVERY_DEADLINE_MS, message.record);
	}

	#send(
		node: string,
		facts: Record<string, string>,
		value: Uint8Array,
		deadlineMs: number,
		record?: LogRecord,
	): Promise<number> {
		const now = this.#clock.now();
		return this.#appender.append(
			nodePartition(nodeIdOf(node)),
			{
				key: record?.key ?? "",
				value,
				headers: { ...record?.headers, ...prefixed(facts), "^node": node },
				timestamp: record?.timestamp ?? now,
			},
			{ deadlineAt: now + deadlineMs },
		);
	}

	async #read(from: number, receiver: ChannelReceiver): Promise<void> {
		let next = from;
		while (!this.#stopped) {
			try {
				const records = await this.#log.read(nodePartition(this.#node.id), next, {
					maxRecords: READ_RECORDS_MAX,
					waitMs: READ_WAIT_MS,
				});
				for (const record of records) {
					next = record.offset + 1;
					this.#take(record, receiver);
				}
			} catch (err) {
				if (this.#stopped) return;
				if (MycelogError.is(err, "log.offset-trimmed")) {
					this.#logger.error({ from: next, err }, "own node topic was trimmed before it was read");
					next = Number(err.details["start"]);
					continue;
				}
				this.#logger.warn({ err }, "own node topic not readable; trying again");
				await new Promise<void>((resolve) => this.#clock.after(READ_RETRY_MS, resolve));
			}
		}
	}

	/** One that cannot be read, or that its connection does not take, must not hold up those behind it. */
	#take(record: LogRecord, receiver: ChannelReceiver): void {
		try {
			this.#receive(record, receiver);
		} catch (err) {
			this.#logger.error({ offset: record.offset, err }, "record of the own node topic not taken");
		}
	}

	#receive(record: LogRecord, receiver: ChannelReceiver): void {
		const { headers } = record;
		if (headers["^node"] !== this.#node.text) return;
		switch (headers["^kind"]) {
			case "reply":
				receiver.reply(headers["^ask"] ?? "", decode(record.value) as ReplyResult);
				return;
			case "signal":
				receiver.signal(headers["^connection"] ?? "", decode(record.value) as Event);
				return;
			case "deliver": {
				const message = messageOf({ ...record, offset: Number(headers["^offset"]) });
				if (!("unreadable" in message)) receiver.deliver(headers["^connection"] ?? "", message);
				return;
			}
		}
	}
}

/** An answer that msgpack cannot carry becomes the refusal to give it. */
function encodeResult(result: ReplyResult): Uint8Array {
	try {
		return encode(result, { ignoreUndefined: true });
	} catch (error) {
		return encode({ ok: false, error: `TypeError: the answer cannot be sent: ${(error as Error).message}` });
	}
}

function prefixed(facts: Record<string, string>): Record<string, string> {
	return Object.fromEntries(Object.entries(facts).map(([name, value]) => [`^${name}`, value]));
}
