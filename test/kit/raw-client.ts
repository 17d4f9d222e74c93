/**
 * A client that speaks the wire protocol itself, so that a test can say what no published client would say.
 * Owns one socket, its frames in order, and calls over it; it checks nothing and forgives nothing.
 */
import { randomUUID } from "node:crypto";
import { decodeMulti, encode } from "@msgpack/msgpack";
import WebSocket from "ws";
import { Inbox } from "./inbox.ts";

/** Milliseconds until a test gives up on a frame or an answer. */
const PATIENCE_MS = 30_000;

export type Fields = Readonly<Record<string, unknown>>;

export interface Frame {
	readonly main: Fields;
	/** Empty if the frame has one segment. */
	readonly extra: Fields;
}

export interface RawOptions {
	readonly clientId: string;
	readonly workspace?: string;
	readonly token?: string;
	readonly reconnectionToken?: string;
}

export interface ConnectionInfo {
	readonly workspace: string;
	readonly client_id: string;
	readonly manager_id: string;
	readonly reconnection_token: string;
	readonly recovered: boolean;
	readonly user: Fields & { readonly id: string };
}

export interface Closed {
	readonly code: number;
	readonly reason: string;
}

/** The call was answered with a reject; `message` is its text. */
export class RejectedError extends Error {
	override readonly name = "RejectedError";
}

/** The node refused the handshake with an `error` text. */
export class RefusedHandshake extends Error {
	override readonly name = "RefusedHandshake";
	readonly close: Closed;

	constructor(message: string, close: Closed) {
		super(message);
		this.close = close;
	}
}

interface Call {
	readonly resolve: (value: unknown) => void;
	readonly reject: (error: Error) => void;
}

export class RawClient {
	/** Every binary frame that is not an answer to `call`, in order of arrival. */
	readonly frames = new Inbox<Frame>();
	/** Answers calls of others; what it does not know is left in `frames`. */
	#served: ((method: string, args: readonly unknown[], main: Fields) => unknown) | undefined;
	/** Text frames after `connection_info`. */
	readonly texts = new Inbox<Fields>();
	/** Answers per session: more than one is a duplicate. */
	readonly answers = new Map<string, number>();
	/** Their sessions, in order of arrival. */
	readonly settled = new Inbox<string>();
	/** Signs of life of callees. */
	heartbeats = 0;
	readonly closed: Promise<Closed>;
	readonly info: ConnectionInfo;
	readonly #socket: WebSocket;
	readonly #calls = new Map<string, Call>();
	/** False: protocol pings stay unanswered, so that nothing more is acknowledged. */
	answersPings = true;

	private constructor(socket: WebSocket, info: ConnectionInfo, closed: Promise<Closed>) {
		this.#socket = socket;
		this.info = info;
		this.closed = closed;
		socket.on("ping", (payload) => {
			if (this.answersPings) socket.pong(payload);
		});
		void closed.then(({ code, reason }) => {
			const error = new Error(`the socket closed with ${code} ${reason}`);
			for (const call of this.#calls.values()) call.reject(error);
			this.frames.end(error);
			this.texts.end(error);
		});
	}

	/** Throws RefusedHandshake with the node's text. */
	static async connect(
		url: string,
		options: RawOptions,
		headers: Readonly<Record<string, string>> = {},
	): Promise<RawClient> {
		const socket = new WebSocket(socketUrl(url), { autoPong: false, headers });
		const closed = closeOf(socket);
		let client: RawClient | undefined;
		const early: Buffer[] = [];
		const hello = new Promise<ConnectionInfo>((resolve, reject) => {
			socket.on("message", (data, isBinary) => {
				if (isBinary) client ? client.#binary(data as Buffer) : early.push(data as Buffer);
				else if (client) client.texts.push(JSON.parse(String(data)));
				else {
					const first = JSON.parse(String(data));
					if (first.type === "connection_info") {
						// In this turn: frames may follow at once.
						client = new RawClient(socket, first, closed);
						for (const bytes of early) client.#binary(bytes);
						resolve(first);
					} else void closed.then((close) => reject(new RefusedHandshake(first.message, close)));
				}
			});
			void closed.then((close) => reject(new RefusedHandshake(close.reason, close)));
		});
		// A socket that cannot be opened fails twice; the error that says why comes from below.
		hello.catch(() => {});
		await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
		const { clientId, workspace, token, reconnectionToken } = options;
		socket.send(
			JSON.stringify({
				client_id: clientId,
				workspace: workspace ?? null,
				token: token ?? null,
				reconnection_token: reconnectionToken ?? null,
			}),
		);
		await hello;
		return client as unknown as RawClient;
	}

	/** As the published clients: told to wait, it comes again after a longer and longer pause. */
	static async patiently(url: string, options: RawOptions): Promise<RawClient> {
		for (let pauseMs = 250; ; pauseMs = Math.min(2 * pauseMs, 4_000)) {
			try {
				return await RawClient.connect(url, options);
			} catch (error) {
				const busy =
					error instanceof RefusedHandshake ? error.close.code === 1013 : /503/.test(String(error));
				if (!busy) throw error;
			}
			await new Promise((resolve) => setTimeout(resolve, pauseMs * (0.9 + 0.2 * Math.random())));
		}
	}

	get workspace(): string {
		return this.info.workspace;
	}

	/** `workspace/client`, as other clients address this one. */
	get peer(): string {
		return `${this.info.workspace}/${this.info.client_id}`;
	}

	get managerPeer(): string {
		return `*/${this.info.manager_id}`;
	}

	send(main: Fields, extra?: Fields): void {
		this.sendBytes(frameBytes(main, extra));
	}

	sendBytes(bytes: Uint8Array): void {
		this.#socket.send(bytes);
	}

	sendText(text: string): void {
		this.#socket.send(text);
	}

	/** Any call; `main` may say more than an honest client would. Throws RejectedError. */
	call(to: string, method: string, args: readonly unknown[] = [], main: Fields = {}): Promise<unknown> {
		const { session, answer } = this.startCall();
		this.send({ type: "method", to, method, session, ...main }, { args, promise: "*", t: 15 });
		return answer;
	}

	/** A session of this client's own; the frame that makes use of it is the test's. Throws RejectedError. */
	startCall(): { readonly session: string; readonly answer: Promise<unknown> } {
		const session = randomUUID().replaceAll("-", "");
		const answer = new Promise<unknown>((resolve, reject) => {
			const timer = setTimeout(() => reject(new Error(`no answer to session ${session}`)), PATIENCE_MS);
			const settle =
				<T>(then: (value: T) => void) =>
				(value: T) => {
					clearTimeout(timer);
					this.#calls.delete(session);
					then(value);
				};
			this.#calls.set(session, { resolve: settle(resolve), reject: settle(reject) });
		});
		// A test that cuts the line does not wait for what was under way.
		answer.catch(() => {});
		return { session, answer };
	}

	/** A method of the workspace manager. */
	manage(method: string, ...args: readonly unknown[]): Promise<unknown> {
		return this.call(this.managerPeer, `services.default.${method}`, args);
	}

	/**
	 * Be a provider: register `built-in` and a public service, and answer its methods from now on. What `answer` throws
	 * is the reject.
	 */
	async serve(
		service: string,
		answer: (method: string, args: readonly unknown[], main: Fields) => unknown,
	): Promise<void> {
		this.#served = (method, ...rest) => {
			if (method === "services.built-in.ping") return "pong";
			return answer(method.slice(`services.${service}.`.length), ...rest);
		};
		for (const id of ["built-in", service]) {
			const record = { id: `${this.peer}:${id}`, type: id, config: { visibility: "public" } };
			await this.manage("register_service", record);
		}
	}

	/** Protocol ping of this client's own; resolves when the node has answered: everything sent before was read. */
	async roundTrip(): Promise<void> {
		const pong = new Promise((resolve) => this.#socket.once("pong", resolve));
		this.#socket.ping();
		await pong;
	}

	/** Take nothing more from the network, so that the node's buffers fill. */
	pause(): void {
		this.#socket.pause();
	}

	resume(): void {
		this.#socket.resume();
	}

	/** The network is gone: no close frame. */
	async cut(): Promise<void> {
		this.#socket.terminate();
		await this.closed;
	}

	/** Leave with a close frame, as the published clients do. */
	async leave(): Promise<void> {
		this.#socket.close(1000);
		await this.closed;
	}

	#answer({ main, extra }: Frame, method: string): void {
		const { session, from } = main;
		const answered = (outcome: string, value: unknown) => {
			if (typeof session !== "string") return;
			this.send(
				{ type: "method", to: from, method: `${session}.${outcome}`, parent: session },
				{ args: [value] },
			);
		};
		try {
			answered("resolve", this.#served?.(method, (extra["args"] ?? []) as unknown[], main));
		} catch (error) {
			answered("reject", { _rtype: "error", _rvalue: String(error), _rtrace: "" });
		}
	}

	#binary(bytes: Buffer): void {
		const frame = readFrame(bytes);
		const method = typeof frame.main["method"] === "string" ? frame.main["method"] : "";
		const [, session = "", outcome] = /^(.+)\.(resolve|reject|heartbeat)$/.exec(method) ?? [];
		if (!outcome) {
			if (this.#served && method.startsWith("services.")) this.#answer(frame, method);
			else this.frames.push(frame);
			return;
		}
		if (outcome === "heartbeat") {
			this.heartbeats++;
			return;
		}
		this.answers.set(session, (this.answers.get(session) ?? 0) + 1);
		this.settled.push(session);
		const [value] = (frame.extra["args"] ?? []) as unknown[];
		if (outcome === "resolve") this.#calls.get(session)?.resolve(value);
		else this.#calls.get(session)?.reject(new RejectedError(String((value as Fields)["_rvalue"])));
	}
}

/** A socket without a handshake, for what comes before one. Resolves when it is open. */
export async function rawSocket(url: string): Promise<{ socket: WebSocket; closed: Promise<Closed> }> {
	const socket = new WebSocket(socketUrl(url));
	const closed = closeOf(socket);
	await new Promise((resolve, reject) => socket.once("open", resolve).once("error", reject));
	return { socket, closed };
}

export function frameBytes(main: unknown, extra?: unknown): Uint8Array {
	const head = encode(main, { ignoreUndefined: true });
	return extra === undefined ? head : Buffer.concat([head, encode(extra, { ignoreUndefined: true })]);
}

export function readFrame(bytes: Uint8Array): Frame {
	const [main, extra = {}] = [...decodeMulti(bytes)] as Fields[];
	return { main: main as Fields, extra };
}

function socketUrl(url: string): string {
	return `${url.replace(/^http/, "ws")}/ws`;
}

function closeOf(socket: WebSocket): Promise<Closed> {
	// An error always precedes a close here; the close is what tests look at.
	socket.on("error", () => {});
	return new Promise((resolve) => {
		socket.once("close", (code, reason) => resolve({ code, reason: String(reason) }));
	});
}
