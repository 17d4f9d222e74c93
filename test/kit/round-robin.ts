/**
 * Stands before several nodes as a load balancer does: each new connection goes to the next node that takes it.
 * Owns TCP connections only.
 */
import { type AddressInfo, createServer, connect as dial, type Server, type Socket } from "node:net";

export class RoundRobin {
	readonly #server: Server;
	readonly #targets: readonly URL[];
	readonly #sockets = new Set<Socket>();
	#turn = 0;

	private constructor(urls: readonly string[]) {
		this.#targets = urls.map((url) => new URL(url));
		this.#server = createServer((client) => this.#join(client, this.#targets.length));
	}

	static async before(urls: readonly string[]): Promise<RoundRobin> {
		const balancer = new RoundRobin(urls);
		await new Promise<void>((resolve) => balancer.#server.listen(0, "127.0.0.1", resolve));
		return balancer;
	}

	get url(): string {
		return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
	}

	async close(): Promise<void> {
		const closed = new Promise((resolve) => this.#server.close(resolve));
		for (const socket of this.#sockets) socket.destroy();
		await closed;
	}

	#join(client: Socket, triesLeft: number): void {
		const { hostname, port } = this.#targets[this.#turn++ % this.#targets.length] as URL;
		const node = dial(Number(port), hostname);
		for (const socket of [client, node]) this.#sockets.add(socket.setNoDelay());
		let connected = false;
		node.once("connect", () => {
			connected = true;
			client.pipe(node).pipe(client);
			client.once("close", () => node.destroy());
			node.once("close", () => client.destroy());
		});
		node.on("error", () => {
			if (connected || triesLeft <= 1) client.destroy();
			else this.#join(client, triesLeft - 1);
		});
		client.on("error", () => node.destroy());
	}
}
