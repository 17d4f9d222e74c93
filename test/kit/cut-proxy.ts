/**
 * A network between one client and the node that can fail: swallow everything, break, come back.
 * Owns TCP connections only; it knows no WebSockets.
 */
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from "node:net";

export class CutProxy {
	readonly #server: Server;
	readonly #pairs = new Set<readonly [Socket, Socket]>();
	readonly #target: URL;
	#port = 0;
	#swallowing = false;

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

	/** Both ends believe that the connection lives; nothing gets through. */
	swallow(): void {
		this.#swallowing = true;
	}

	/** Break every connection, without any close frame; new ones find nobody listening. */
	async cut(): Promise<void> {
		const closed = new Promise((resolve) => this.#server.close(resolve));
		for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
		await closed;
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
		this.#pass(node, client, pair);
	}

	#pass(from: Socket, to: Socket, pair: readonly [Socket, Socket]): void {
		from.on("data", (bytes) => {
			if (this.#swallowing || to.write(bytes)) return;
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
