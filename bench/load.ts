/**
 * The load generator, a process of its own: callers with calls in flight and callees that answer each at once, as raw
 * Hypha frames. Owns counting and latencies; every answer must come exactly once. Prints one line of JSON.
 */
import { encode } from "@msgpack/msgpack";
import { watchCpu } from "./cpu.ts";
import { quantile } from "./figures.ts";
import { frameOf, LeanSocket } from "./lean-socket.ts";

export interface LoadParameters {
	/** Of the servers: the ends of a pair are on two neighbours, where there are several. */
	readonly urls: readonly string[];
	readonly token: string;
	/** `echo`: against the echo server, without callees. */
	readonly mode: "call" | "echo";
	readonly pairs: number;
	/** Calls in flight of each pair. */
	readonly inFlight: number;
	readonly warmSeconds: number;
	readonly seconds: number;
	/** Processes whose processor time is wanted. */
	readonly watch: readonly number[];
}

export interface LoadResult {
	readonly callsPerSecond: number;
	/** Sent, warm-up included. */
	readonly callsInAll: number;
	/** Milliseconds from sending a call to its answer. */
	readonly p50: number;
	readonly p99: number;
	/** Cores kept busy by this process and by the watched ones. */
	readonly ownCores: number;
	readonly watchedCores: readonly number[];
}

/** Sessions are this long, so that the frames of all calls have one form. */
const DIGITS = 8;
const SESSION = "s".padEnd(DIGITS + 1, "0");
/** Calls of one pair that may be open or answered late; more than any `inFlight`. */
const RING = 4096;
/** How a session reads in a frame: key, then a short text of nine bytes. */
const SESSION_KEY = Buffer.concat([encode("session"), Buffer.of(0xa0 | SESSION.length)]);
const PARENT_KEY = Buffer.concat([encode("parent"), Buffer.of(0xa0 | SESSION.length)]);
const ARGS = encode({ args: ["hello", 42], promise: "*", t: 15 });
const RESULT = encode({ args: ["hello"] });

class Caller {
	readonly #socket: LeanSocket;
	readonly #template: Buffer;
	readonly #sessionAt: number;
	/** When call `n % RING` was sent; NaN: not open. */
	readonly #sentAt = new Float64Array(RING).fill(Number.NaN);
	calls = 0;
	latencies: number[] = [];

	constructor(socket: LeanSocket, main: object, key: Buffer) {
		this.#socket = socket;
		this.#template = frameOf(Buffer.concat([encode(main), ARGS]));
		this.#sessionAt = this.#template.indexOf(SESSION);
		socket.onFrame = (bytes, start, end) => this.#answer(bytes, start, end, key);
	}

	call(): void {
		const frame = Buffer.from(this.#template);
		frame.write(String(this.calls).padStart(DIGITS, "0"), this.#sessionAt + 1, "latin1");
		this.#sentAt[this.calls % RING] = performance.now();
		this.calls++;
		this.#socket.send(frame);
	}

	#answer(bytes: Buffer, start: number, end: number, key: Buffer): void {
		const at = bytes.indexOf(key, start) + key.length + 1;
		if (at <= key.length || at > end) {
			throw new Error(`not an answer: ${bytes.toString("latin1", start, end).slice(0, 300)}`);
		}
		const call = Number(bytes.toString("latin1", at, at + DIGITS));
		const latency = performance.now() - (this.#sentAt[call % RING] as number);
		if (Number.isNaN(latency)) throw new Error(`call ${call} was answered twice`);
		this.#sentAt[call % RING] = Number.NaN;
		this.latencies.push(latency);
		this.call();
	}
}

function serve(socket: LeanSocket, main: object): void {
	const template = frameOf(Buffer.concat([encode(main), RESULT]));
	const methodAt = template.indexOf(SESSION);
	const parentAt = template.indexOf(SESSION, methodAt + 1);
	socket.onFrame = (bytes, start, end) => {
		const at = bytes.indexOf(SESSION_KEY, start) + SESSION_KEY.length;
		if (at < SESSION_KEY.length || at > end) throw new Error("the callee got a frame without a session");
		const frame = Buffer.from(template);
		bytes.copy(frame, methodAt, at, at + SESSION.length);
		bytes.copy(frame, parentAt, at, at + SESSION.length);
		socket.send(frame);
	};
}

async function pair({ urls, token, mode }: LoadParameters, index: number): Promise<Caller> {
	const [url, calleeUrl] = [urls[index % urls.length], urls[(index + 1) % urls.length]];
	const callerId = `caller-${process.pid}-${index}`;
	const calleeId = `callee-${process.pid}-${index}`;
	const socket = await LeanSocket.open(`${url}/ws`);
	const call = { type: "method", method: "services.echo.echo", session: SESSION };
	if (mode === "echo") {
		return new Caller(socket, { ...call, from: `ws/${callerId}`, to: `ws/${calleeId}` }, SESSION_KEY);
	}
	const { workspace } = await socket.hello(callerId, token);
	const callee = await LeanSocket.open(`${calleeUrl}/ws`);
	await callee.hello(calleeId, token);
	const [from, to] = [`${workspace}/${callerId}`, `${workspace}/${calleeId}`];
	serve(callee, { type: "method", from: to, to: from, method: `${SESSION}.resolve`, parent: SESSION });
	return new Caller(socket, { ...call, from, to }, PARENT_KEY);
}

async function load(parameters: LoadParameters): Promise<LoadResult> {
	const callers: Caller[] = [];
	for (let i = 0; i < parameters.pairs; i++) callers.push(await pair(parameters, i));
	for (const caller of callers) for (let i = 0; i < parameters.inFlight; i++) caller.call();
	await seconds(parameters.warmSeconds);
	for (const caller of callers) caller.latencies = [];
	const cores = watchCpu([process.pid, ...parameters.watch]);
	const since = performance.now();
	await seconds(parameters.seconds);
	const elapsed = (performance.now() - since) / 1000;
	const [ownCores, ...watchedCores] = cores() as [number, ...number[]];
	const latencies = Float64Array.from(callers.flatMap((caller) => caller.latencies)).sort();
	return {
		callsPerSecond: latencies.length / elapsed,
		callsInAll: callers.reduce((sum, { calls }) => sum + calls, 0),
		p50: quantile(latencies, 0.5),
		p99: quantile(latencies, 0.99),
		ownCores,
		watchedCores,
	};
}

function seconds(count: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, count * 1000));
}

process.stdout.write(`${JSON.stringify(await load(JSON.parse(process.argv[2] as string)))}\n`);
process.exit(0);
