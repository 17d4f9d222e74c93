/**
 * A network between one client and the node that can fail: swallow everything, break, come back, deliver in bursts.
 * Owns TCP connections only; it knows no WebSockets.
 */
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from "node:net";

export class CutProxy {
	readonly #server: Server;
	readonly #pairs = new Set<readonly [Socket, Socket]>();
	readonly #dead = new WeakSet<readonly [Socket, Socket]>();
	#target: URL;
	#port = 0;
	#swallowing = false;
	#onSwallowed = () => {};
	#burstMs = 0;
	/** Of what the node sends, until a connection breaks. */
	#bytesLeft = Number.POSITIVE_INFINITY;

	private constructor(target: string) {
		this.#target = new URL(target);
		this.#server = createServer((client) => this.#join(client));
	}

	static async to(url: string): Promise<CutProxy> {
		const proxy = new CutProxy(url);
		await proxy.mend();
		return proxy;
	}

	get url(): string {
		return `http://127.0.0.1:${this.#port}`;
	}

	/** Both ends believe that the connection lives; nothing gets through. Resolves when something was swallowed. */
	swallow(): Promise<void> {
		this.#swallowing = true;
		return new Promise((resolve) => {
			this.#onSwallowed = resolve;
		});
	}

	/** What is open goes on swallowing everything; who comes anew gets through. */
	passNew(): void {
		this.#swallowing = false;
		for (const pair of this.#pairs) this.#dead.add(pair);
	}

	/**
	 * From now on what the node sends within so many milliseconds reaches the client at once, as over a busy line:
	 * then a client handles several messages in one turn.
	 */
	deliverInBursts(everyMs: number): void {
		this.#burstMs = everyMs;
	}

	/** So many bytes of what the node sends next get through, then that connection breaks. */
	cutAfter(bytes: number): void {
		this.#bytesLeft = bytes;
	}

	/** Break every connection, without any close frame; new ones find nobody listening. */
	async cut(): Promise<void> {
		const closed = new Promise((resolve) => this.#server.close(resolve));
		for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
		await closed;
	}

	/** Where connections go from now on, as a load balancer decides. */
	switchTo(url: string): void {
		this.#target = new URL(url);
	}

	async mend(): Promise<void> {
		this.#swallowing = false;
		await new Promise<void>((resolve) => this.#server.listen(this.#port, "127.0.0.1", resolve));
		this.#port = (this.#server.address() as AddressInfo).port;
	}

	#join(client: Socket): void {
		const node = dial(Number(this.#target.port), this.#target.hostname);
		const pair = [client, node] as const;
		this.#pairs.add(pair);
		this.#pass(client, node, pair);
		node.on("data", (bytes) => this.#cutIfDue(bytes, client));
		if (this.#burstMs > 0) this.#passInBursts(node, client, this.#burstMs);
		this.#pass(node, client, pair, this.#burstMs > 0);
	}

	#cutIfDue(bytes: Buffer, client: Socket): void {
		this.#bytesLeft -= bytes.length;
		if (this.#bytesLeft >= 0) return;
		client.end(bytes.subarray(0, this.#bytesLeft));
		this.#bytesLeft = Number.POSITIVE_INFINITY;
	}

	#passInBursts(from: Socket, to: Socket, everyMs: number): void {
		let waiting: Buffer[] = [];
		from.on("data", (bytes) => {
			if (this.#swallowing) return;
			if (waiting.push(bytes) > 1) return;
			setTimeout(() => {
				to.write(Buffer.concat(waiting));
				waiting = [];
			}, everyMs);
		});
	}

	#pass(from: Socket, to: Socket, pair: readonly [Socket, Socket], passedElsewhere = false): void {
		from.on("data", (bytes) => {
			if (this.#swallowing) this.#onSwallowed();
			if (passedElsewhere || this.#swallowing || this.#dead.has(pair)) return;
			if (to.writableEnded || to.write(bytes)) return;
			from.pause();
			to.once("drain", () => from.resume());
		});
		// Errors are what this proxy is for; the close that follows ends both halves.
		from.on("error", () => {});
		from.on("close", () => {
			this.#pairs.delete(pair);
			to.destroy();
		});
	}
}
