/**
 * Messages between node processes that belong to no actor: replies, deliveries and signals for sockets elsewhere.
 * Owns the node topic's records; a process reads only its own topic, from the time it started.
 */
import { decode, encode } from "@msgpack/msgpack";
import type { Appender } from "../persistence/appender.ts";
import { MycelogError } from "../persistence/errors.ts";
import { type Log, type LogRecord, partitionName } from "../persistence/log.ts";
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
/** The first record of a process, milliseconds: the copies of a topic that was just made are not all there at once. */
const START_DEADLINE_MS = 30_000;
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
	/** A later process of this node has started: this one does not count any more. */
	succeeded(by: string): void;
}

export type Place =
	| { readonly state: "kept" }
	/** A later process of this node has it. */
	| { readonly state: "taken"; readonly by: string }
	/** The topic was removed, and perhaps made anew: what it said of later processes is not there any more. */
	| { readonly state: "forgotten" };

export class NodeChannel {
	readonly #log: Log;
	readonly #appender: Appender;
	readonly #node: NodeName;
	readonly #clock: Clock;
	readonly #logger: Logger;
	#reading: Promise<void> | undefined;
	#next = 0;
	#successor: string | undefined;
	/** Told when a read has come to its end. */
	#waiting: (() => void)[] = [];
	#stopped = false;

	constructor(parts: { log: Log; appender: Appender; node: NodeName; clock: Clock; logger: Logger }) {
		this.#log = parts.log;
		this.#appender = parts.appender;
		this.#node = parts.node;
		this.#clock = parts.clock;
		this.#logger = parts.logger;
	}

	/**
	 * Resolves to the time of this process's first record there: it rises from one process of the node to the next, also
	 * where the topic was removed in between.
	 */
	async start(receiver: ChannelReceiver): Promise<number> {
		const headers = { "^kind": "started", "^node": this.#node.text };
		const timestamp = this.#clock.now();
		const record = { key: "", value: new Uint8Array(), headers, timestamp };
		const started = await this.#appender.append(nodePartition(this.#node.id), record, {
			deadlineAt: this.#clock.now() + START_DEADLINE_MS,
		});
		this.#next = started + 1;
		this.#reading = this.#read(receiver);
		return timestamp;
	}

	/**
	 * What became of this node's place while nothing was heard of this process: as of all records there are now. Rejects
	 * as the log does.
	 */
	async place(): Promise<Place> {
		const { topic } = nodePartition(this.#node.id);
		const topics = await this.#log.topics?.(topic);
		if (topics && !topics.includes(topic)) return { state: "forgotten" };
		const { end } = await this.#log.bounds(nodePartition(this.#node.id));
		if (end < this.#next) return { state: "forgotten" };
		while (this.#next < end && !this.#stopped) {
			await new Promise<void>((resolve) => this.#waiting.push(resolve));
		}
		return this.#successor === undefined ? { state: "kept" } : { state: "taken", by: this.#successor };
	}

	async stop(): Promise<void> {
		this.#stopped = true;
		await this.#reading;
		for (const resolve of this.#waiting.splice(0)) resolve();
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

	async #read(receiver: ChannelReceiver): Promise<void> {
		while (!this.#stopped) {
			try {
				const records = await this.#log.read(nodePartition(this.#node.id), this.#next, {
					maxRecords: READ_RECORDS_MAX,
					waitMs: READ_WAIT_MS,
				});
				for (const record of records) {
					this.#next = record.offset + 1;
					this.#take(record, receiver);
				}
				for (const resolve of this.#waiting.splice(0)) resolve();
			} catch (err) {
				if (this.#stopped) return;
				if (MycelogError.is(err, "log.offset-trimmed")) {
					this.#logger.error({ from: this.#next, err }, "own node topic was trimmed before it was read");
					this.#next = Number(err.details["start"]);
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
			const partition = partitionName(nodePartition(this.#node.id));
			const fields = { address: record.key, partition, offset: record.offset, err };
			this.#logger.error(fields, "record of the own node topic not taken");
		}
	}

	#receive(record: LogRecord, receiver: ChannelReceiver): void {
		const { headers } = record;
		if (headers["^kind"] === "started") {
			const name = headers["^node"] ?? "";
			if (name === this.#node.text) return;
			this.#successor = name;
			receiver.succeeded(name);
			return;
		}
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
