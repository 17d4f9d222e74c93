/**
 * One WebSocket from open to close: handshake, control texts, frames in, session out.
 * Owns the connection's phases; rules live in handshake.ts, router.ts and session.ts.
 */
import { MARK, POSTED } from "../actors/client.ts";
import type { Event, Message } from "../runtime/message.ts";
import { reportClient } from "./client-report.ts";
import { closeReason } from "./close-codes.ts";
import type { GatewayParts } from "./gateway.ts";
import {
	ADMISSION_MS_MAX,
	type Admitted,
	HandshakeError,
	serverBusy,
	shakeHands,
	tooOften,
	UNAUTHENTICATED,
	UNDECODABLE,
} from "./handshake.ts";
import type { Identity } from "./identity.ts";
import { InFlight } from "./in-flight.ts";
import { RateLimit } from "./rate-limit.ts";
import { Session, type SessionOwner, SOCKET_BUFFER_BYTES_MAX } from "./session.ts";
import type { Socket } from "./socket.ts";

/** Time for the first text frame, milliseconds (connection.md §3). */
export const HANDSHAKE_MS_MAX = 5_000;
/** Longest first text, characters: tokens have some hundreds. Who sends it is not known yet. */
export const FIRST_TEXT_CHARACTERS_MAX = 64 * 1024;
/** Longer control texts are ignored, characters (connection.md §4). */
export const CONTROL_TEXT_CHARACTERS_MAX = 1_000;
/** A probed socket that shows no sign of life this long is cut, milliseconds. */
const PROBE_MS = 5_000;

/** A session that is sent nothing gets a mark this often, milliseconds. */
export const MARK_EVERY_MS = 600_000;
const NOTHING = new Uint8Array();

/** Payload of the ping whose pong says that the client has read its `connection_info`. */
const INFO_PING = "info";

/** Nothing to cancel; a cancelled timer would be kept alive by what cancels it. */
const NO_TIMER = () => {};

type Phase = "waiting" | "joining" | "open" | "closed";

export class Connection implements SessionOwner {
	readonly id: string;
	readonly #parts: GatewayParts;
	readonly #socket: Socket;
	#phase: Phase = "waiting";
	#identity: Identity | undefined;
	#session: Session | undefined;
	#cancelTimer: () => void;
	readonly #inFlight = new InFlight();
	/** Made with the first frame: many clients only listen. */
	#rate: RateLimit | undefined;
	/** Begins delivery; undefined before the client is admitted and once it has begun. */
	#startSession: (() => void) | undefined;
	/** Newest offset told to the client actor. */
	#reported = -1;
	/** Newest offset the client was known to have at the last chance for a mark. */
	#marked = -1;
	/** Newest offset of what the client posted at other nodes. */
	#posted = -1;
	#lastSign = 0;
	/** This side has closed the socket; a close frame that comes back is no goodbye of the client. */
	#ended = false;

	constructor(id: string, socket: Socket, parts: GatewayParts) {
		this.id = id;
		this.#socket = socket;
		this.#parts = parts;
		parts.handshaking.add(this);
		this.#cancelTimer = parts.clock.after(HANDSHAKE_MS_MAX, () =>
			this.#refuse(new HandshakeError("Authentication payload timeout", 1008, "timeout")),
		);
	}

	get identity(): Identity | undefined {
		return this.#identity;
	}

	text(text: string): void {
		this.#lastSign = this.#parts.clock.now();
		if (this.#phase === "waiting") {
			this.#cancelTimer();
			this.#cancelTimer = NO_TIMER;
			if (text.length > FIRST_TEXT_CHARACTERS_MAX) {
				this.#refuse(new HandshakeError(UNDECODABLE, 1003, "malformed"));
				return;
			}
			this.#phase = "joining";
			this.#join(text).catch((err) => {
				this.#parts.logger.error({ err, connection: this.id }, "handshake failed unexpectedly");
				this.#refuse(
					new HandshakeError("Failed to establish connection: internal error", 1001, "error", true),
				);
			});
		} else if (this.#phase === "open" && text.length <= CONTROL_TEXT_CHARACTERS_MAX) {
			this.#deliverFromNowOn();
			this.#control(text);
		}
	}

	binary(bytes: Uint8Array): void {
		const now = this.#parts.clock.now();
		this.#lastSign = now;
		if (this.#phase === "open" && this.#identity && !this.#ended) {
			this.#parts.metrics.framesIn.inc();
			this.#deliverFromNowOn();
			if (this.#aboveRate(this.#identity, bytes, now)) return;
			const taken = this.#parts.router.route(this.#identity, bytes);
			if (!taken) return;
			this.#inFlight.add(bytes.length, taken);
			if (this.#inFlight.tooMuch) this.#shedFlooding("in-flight", "too many messages wait to be taken");
		} else if (this.#phase === "waiting") {
			this.#refuse(new HandshakeError(UNDECODABLE, 1003, "malformed"));
		}
	}

	pong(payload: string): void {
		this.#lastSign = this.#parts.clock.now();
		if (payload === INFO_PING) this.#deliverFromNowOn();
		const offset = Number(payload);
		if (payload !== "" && Number.isSafeInteger(offset)) {
			this.#session?.pong(offset);
			this.#reportSoon();
		}
	}

	drain(): void {
		this.#session?.drain();
	}

	deliver(message: Message): void {
		if (message.type === POSTED) this.#takePosted(message);
		else this.#session?.deliver(message);
	}

	signal(signal: Event): void {
		switch (signal.type) {
			case "superseded":
				this.#end(1001, "another connection of this client took its place");
				return;
			case "lost":
				this.#end(1001, "this node lost its place in the cluster; connect again");
				return;
			case "kicked":
				this.#end(1008, String(signal["reason"] ?? "removed by an admin"));
				return;
			case "probe":
				this.#probe();
				return;
		}
	}

	/** Tell the client actor what the client has, so that a resume after a crash starts there. */
	report(): void {
		const session = this.#session;
		if (!this.#identity || !session || session.acked <= this.#reported || this.#phase !== "open") return;
		const { acked, ackedSeen } = session;
		this.#reported = acked;
		const report = { type: "client.acked", connection: this.id, acked, seen: ackedSeen } as const;
		reportClient(this.#parts, this.#identity.address, report);
	}

	/**
	 * For a client that is sent nothing: a mark in its mailbox, so that what others got meanwhile need not be read when it
	 * resumes.
	 */
	mark(): void {
		const session = this.#session;
		if (!this.#identity || !session || this.#phase !== "open") return;
		const moved = session.acked > this.#marked;
		this.#marked = session.acked;
		if (moved) return;
		const { node, clock } = this.#parts;
		const expiresAt = clock.now() + MARK_EVERY_MS;
		const mark = { to: this.#identity.address, kind: "frame", type: MARK, body: NOTHING, expiresAt } as const;
		node.submit(mark).catch(() => {
			// The next one is as good.
		});
	}

	/** Close from this side; the client may come back and resume. */
	shed(reason: string): void {
		this.#end(1001, reason);
	}

	sessionCaughtUp(): void {
		this.#reportSoon();
	}

	sessionBroken(err: unknown): void {
		const address = this.#identity?.address;
		this.#parts.logger.warn({ err, address }, "session cannot read its mailbox; shedding it");
		this.shed("the mailbox could not be read; connect again");
	}

	/** The socket has ended. `goodbye`: with a close frame of the client's own. */
	closed(goodbye: boolean): void {
		const joined = this.#phase === "open" || this.#phase === "joining";
		this.#phase = "closed";
		this.#parts.handshaking.delete(this);
		this.#cancelTimer();
		this.#parts.unreported.delete(this);
		this.#session?.close();
		if (!joined || !this.#identity) return;
		const type = goodbye && !this.#ended ? "client.left" : "client.cut";
		if (type === "client.left") this.#parts.outgoing.forget(this.#identity.address);
		const { acked = -1, ackedSeen: seen } = this.#session ?? {};
		reportClient(this.#parts, this.#identity.address, { type, connection: this.id, acked, seen });
	}

	/** Once each: after a move of its partition, a message may be handed out again. */
	#takePosted(message: Message): void {
		if (message.offset <= this.#posted || (message.expiresAt ?? 0) < this.#parts.clock.now()) return;
		this.#posted = message.offset;
		this.#parts.outgoing.answer(message, this.#socket.posted?.(message) ?? false);
	}

	async #join(text: string): Promise<void> {
		const { admission, clock } = this.#parts;
		const came = clock.now();
		await admission.turn();
		try {
			// Gone while it waited.
			if (this.#phase !== "joining") return;
			if (clock.now() - came > ADMISSION_MS_MAX) throw serverBusy();
			const admitted = await shakeHands(text, this.id, this.#parts, (identity) => {
				this.#identity = identity;
				identity.direct = (frame) => this.#sendDirectly(frame);
				this.#session = new Session(identity.address, this.#socket, this, this.#parts);
			});
			if (this.#phase !== "joining") return;
			this.#open(admitted);
		} catch (error) {
			if (!(error instanceof HandshakeError)) throw error;
			// Of one that could come later nobody knows whether its actor lets it in after all.
			if (!error.temporary) this.#identity = undefined;
			const isMistaken = error.outcome === UNAUTHENTICATED && this.#socket.mistaken();
			this.#refuse(isMistaken ? tooOften() : error);
		} finally {
			admission.done();
		}
	}

	#open({ info, from, upTo, seen }: Admitted): void {
		this.#phase = "open";
		this.#parts.handshaking.delete(this);
		this.#reported = from - 1;
		this.#parts.metrics.handshakes.inc({ outcome: "admitted" });
		this.#socket.sendText(JSON.stringify(info));
		this.#socket.ping(INFO_PING);
		this.#startSession = () => this.#session?.start(from, upTo, seen);
	}

	/**
	 * The JavaScript client drops frames that reach it in one turn with its `connection_info`, and its WebSocket
	 * acknowledges them all the same. So nothing follows the information before a pong, or a frame of the client's
	 * own, has shown that it was read.
	 */
	#deliverFromNowOn(): void {
		const start = this.#startSession;
		this.#startSession = undefined;
		start?.();
	}

	#control(text: string): void {
		let message: unknown;
		try {
			message = JSON.parse(text);
		} catch {
			return;
		}
		const type = typeof message === "object" && message !== null && "type" in message ? message.type : "";
		if (type === "ping") this.#socket.sendText('{"type":"pong"}');
		if (type === "refresh_token") void this.#refreshToken();
	}

	async #refreshToken(): Promise<void> {
		const { tokens, logger } = this.#parts;
		const identity = this.#identity;
		if (!identity) return;
		try {
			const token = await tokens.reconnectionToken(identity.user, identity.workspace, identity.client);
			this.#socket.sendText(JSON.stringify({ type: "reconnection_token", reconnection_token: token }));
		} catch (err) {
			logger.error({ err, connection: this.id }, "reconnection token not issued");
		}
	}

	#probe(): void {
		const asked = this.#parts.clock.now();
		this.#socket.ping("");
		this.#cancelTimer();
		this.#cancelTimer = this.#parts.clock.after(PROBE_MS, () => {
			if (this.#lastSign < asked) this.#socket.destroy();
		});
	}

	/**
	 * True: the frame is not taken. Who waits for an answer is told, on the socket itself: a way through the log would
	 * make the flood cost more, not less.
	 */
	#aboveRate(identity: Identity, bytes: Uint8Array, now: number): boolean {
		const { options, metrics, router } = this.#parts;
		this.#rate ??= new RateLimit(options.messagesPerSecondMax, now);
		const verdict = this.#rate.take(now);
		if (verdict === "taken") return false;
		metrics.refusedFrames.inc({ reason: "rate" });
		const text = `more than ${options.messagesPerSecondMax} messages a second`;
		if (verdict === "persistent") {
			this.#shedFlooding("rate", text);
		} else {
			const reject = router.rejectionOf(identity, bytes, `RuntimeError: Rate limit exceeded: ${text}`);
			if (reject) this.#sendDirectly(reject);
		}
		return true;
	}

	#reportSoon(): void {
		if (this.#session && this.#session.acked > this.#reported) this.#parts.unreported.add(this);
	}

	#sendDirectly(frame: Uint8Array): void {
		if (this.#socket.bufferedBytes() < SOCKET_BUFFER_BYTES_MAX) this.#socket.send(frame);
	}

	/** As upstream: the client may come back, what is not in the log yet is lost. */
	#shedFlooding(reason: string, text: string): void {
		if (this.#ended) return;
		const message = `Rate limit exceeded: ${text}`;
		this.#parts.metrics.shed.inc({ reason });
		this.#socket.sendText(JSON.stringify({ type: "error", message }));
		this.#end(1008, message);
	}

	#refuse({ message, closeCode, outcome, temporary }: HandshakeError): void {
		if (this.#phase === "closed") return;
		this.#parts.metrics.handshakes.inc({ outcome });
		if (!temporary) this.#socket.sendText(JSON.stringify({ type: "error", message }));
		this.#end(closeCode, message);
	}

	#end(code: number, reason: string): void {
		if (this.#phase === "closed" || this.#ended) return;
		this.#ended = true;
		this.#socket.close(code, closeReason(reason));
	}
}
