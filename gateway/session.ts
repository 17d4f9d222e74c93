/**
 * A session's way out: from the client's mailbox to one socket, in order, from the last acknowledged offset on.
 * Owns the cursor, acknowledge-by-pong and the slow reader's wait; which connection is the client's, the client
 * actor decides.
 */
import { LOAD_QUESTION, MARK, POSTED } from "../actors/client.ts";
import type { Log, LogRecord, PartitionId } from "../persistence/log.ts";
import type { Address } from "../runtime/address.ts";
import { type Message, messageOf } from "../runtime/message.ts";
import { NOTHING_SEEN, Watermarks } from "../runtime/watermarks.ts";
import { CallLoad } from "./call-load.ts";
import type { FrameTraces } from "./frame-traces.ts";
import type { GatewayMetrics } from "./metrics.ts";
import type { Outgoing } from "./outgoing.ts";

/** Bytes that may wait in a socket before its session reads on from the log instead. */
export const SOCKET_BUFFER_BYTES_MAX = 1024 * 1024;
/** Records read from the log at a time while catching up: at first, and at most while they are small. */
const CATCH_UP_PAGE_RECORDS_FIRST = 16;
const CATCH_UP_PAGE_RECORDS_MAX = 500;

/** The part of a socket that a session needs. */
export interface Wire {
	/** False: the socket is gone. */
	send(bytes: Uint8Array): boolean;
	ping(payload: string): void;
	bufferedBytes(): number;
	/** Nobody answers its pings: `acked` stays behind, and a client that resumes says itself what it has. */
	readonly oneWay?: boolean;
}

/** What all sessions share; there is one session for every connection, so it holds little of its own. */
export interface SessionParts {
	readonly node: { readonly log: Log; mailbox(address: Address): PartitionId };
	readonly outgoing: Outgoing;
	readonly metrics: GatewayMetrics;
	readonly traces?: FrameTraces | undefined;
	readonly clock: { now(): number };
}

export interface SessionOwner {
	/** What was in the log has been handed out, and the client has it. */
	sessionCaughtUp(): void;
	/** The session cannot go on: the log is unreadable or trimmed past the cursor. */
	sessionBroken(error: unknown): void;
}

export class Session {
	readonly address: Address;
	readonly #wire: Wire;
	readonly #owner: SessionOwner;
	readonly #parts: SessionParts;
	/** Next mailbox offset that the socket has not been given. */
	#next = 0;
	/** Live messages are taken as they come; otherwise the log is read up to `#liveTo`. */
	#live = false;
	#liveTo = 0;
	#lastSent = -1;
	#acked = -1;
	/**
	 * What the log holds twice after a crash (outputs made again) goes to the socket once: live messages are free of
	 * repeats, those read from the log are not.
	 */
	#seen = new Watermarks();
	/** What had been seen when the ping under way was sent, and at `#acked`. */
	#pinged: { readonly offset: number; readonly seen: string } | undefined;
	#ackedSeen = NOTHING_SEEN;
	/** Made with the first call: many clients serve nothing. */
	#load: CallLoad | undefined;
	#drained: (() => void) | undefined;
	#catchingUp = false;
	#closed = false;

	constructor(address: Address, wire: Wire, owner: SessionOwner, parts: SessionParts) {
		this.address = address;
		this.#wire = wire;
		this.#owner = owner;
		this.#parts = parts;
	}

	/** Newest offset that the client is known to have; -1: none. */
	get acked(): number {
		return this.#acked;
	}

	/** What the client had seen at `acked`, for the session that resumes from there. */
	get ackedSeen(): string {
		return this.#ackedSeen;
	}

	/** Deliver from `from`; records before `upTo` are in the log already and are read from there. */
	start(from: number, upTo: number, seen: string): void {
		this.#next = from;
		this.#seen = Watermarks.decode(seen);
		this.#liveTo = Math.max(this.#liveTo, upTo);
		this.#catchUp();
	}

	/** A message the client actor handed to this connection, in mailbox order. */
	deliver(message: Message): void {
		if (message.offset < this.#next) return;
		this.#liveTo = Math.max(this.#liveTo, message.offset + 1);
		if (!this.#live) return;
		this.#send(message);
		if (this.#wire.bufferedBytes() > SOCKET_BUFFER_BYTES_MAX) {
			this.#parts.metrics.slowReaders.inc();
			this.#live = false;
			this.#catchUp();
		}
	}

	/** The client has everything before and at `offset`. */
	pong(offset: number): void {
		if (this.#pinged?.offset !== offset) return;
		this.#acked = offset;
		this.#ackedSeen = this.#pinged.seen;
		this.#pinged = undefined;
		this.#pingIfNeeded();
		this.#acknowledgeRest();
	}

	/** The socket's buffer has emptied. */
	drain(): void {
		this.#drained?.();
	}

	close(): void {
		this.#closed = true;
		this.#drained?.();
	}

	#send(message: Message): void {
		this.#next = message.offset + 1;
		if (message.origin && this.#seen.seen(message.origin, message.timestamp)) return;
		if (message.expiresAt !== undefined && message.expiresAt < this.#parts.clock.now()) {
			this.#parts.metrics.expiredFrames.inc();
			return;
		}
		if (message.type === MARK) {
			this.#acknowledgeRest();
			this.#owner.sessionCaughtUp();
			return;
		}
		// The connection has taken it as it came; what is read again was taken then.
		if (message.type === POSTED) return;
		if (message.type === LOAD_QUESTION) {
			this.#parts.outgoing.answer(message, this.#load?.perMinute(this.#parts.clock.now()) ?? 0);
			return;
		}
		const bytes = this.#parts.outgoing.bytes(message);
		if (!bytes || this.#closed) return;
		if (!this.#wire.send(bytes)) return;
		const { metrics, clock, traces } = this.#parts;
		traces?.delivered(message);
		metrics.framesOut.inc();
		if (this.#live) metrics.delivery.observe(clock.now() - message.timestamp);
		if (message.facts?.["session"] !== undefined) {
			this.#load ??= new CallLoad();
			this.#load.count(this.#parts.clock.now());
		}
		this.#lastSent = message.offset;
		this.#pingIfNeeded();
	}

	/** One ping under way at a time: under load its pong covers everything written meanwhile. */
	#pingIfNeeded(): void {
		if (this.#pinged || this.#closed || this.#lastSent <= this.#acked) return;
		if (this.#wire.oneWay) {
			this.#wire.ping(String(this.#lastSent));
			return;
		}
		this.#pinged = { offset: this.#lastSent, seen: this.#seen.encode() };
		this.#wire.ping(String(this.#lastSent));
	}

	/**
	 * With nothing on its way, all that lies behind is the client's, though most of it was for others: a session that
	 * resumes must not read that again, nor the next one.
	 */
	#acknowledgeRest(): void {
		if (this.#pinged || this.#closed || this.#lastSent > this.#acked || this.#next - 1 <= this.#acked) return;
		this.#acked = this.#next - 1;
		this.#ackedSeen = this.#seen.encode();
	}

	#catchUp(): void {
		if (this.#catchingUp) return;
		this.#catchingUp = true;
		this.#readOn().catch((error) => {
			if (!this.#closed) this.#owner.sessionBroken(error);
		});
	}

	async #readOn(): Promise<void> {
		const { log } = this.#parts.node;
		const mailbox = this.#parts.node.mailbox(this.address);
		let maxRecords = CATCH_UP_PAGE_RECORDS_FIRST;
		while (!this.#closed) {
			while (this.#wire.bufferedBytes() > SOCKET_BUFFER_BYTES_MAX / 2 && !this.#closed) await this.#drain();
			if (this.#next >= this.#liveTo) {
				// In one step: a message that makes the reader slow again must find no catch-up under way.
				this.#live = true;
				this.#catchingUp = false;
				this.#acknowledgeRest();
				this.#owner.sessionCaughtUp();
				return;
			}
			const page = await log.read(mailbox, this.#next, { maxRecords, waitMs: 0 });
			for (const record of page) {
				if (this.#closed) return;
				if (record.offset >= this.#liveTo) break;
				// Only what the actor passed on counts as the session's; its commands are not for the socket.
				const message = record.key === this.address ? messageOf(record) : undefined;
				if (message && !("unreadable" in message) && message.kind === "frame") this.#send(message);
				this.#next = record.offset + 1;
			}
			if (page.length === 0) this.#next = this.#liveTo;
			maxRecords = nextPageRecords(maxRecords, page);
		}
	}

	#drain(): Promise<void> {
		return new Promise((resolve) => {
			this.#drained = () => {
				this.#drained = undefined;
				resolve();
			};
		});
	}
}

/** A page is in memory whole, so pages of large records are short. */
function nextPageRecords(maxRecords: number, page: readonly LogRecord[]): number {
	const bytes = page.reduce((sum, record) => sum + record.value.length, 0);
	const fitting = Math.floor((page.length * SOCKET_BUFFER_BYTES_MAX) / Math.max(bytes, 1));
	return Math.max(1, Math.min(fitting, 2 * maxRecords, CATCH_UP_PAGE_RECORDS_MAX));
}
