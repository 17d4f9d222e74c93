/**
 * An incident to be dealt with: 1,000 tills of which a mistaken machine has corrupted 50, on one embedded node or on three
 * on Kafka, and two published clients that call each other all the while. Owns the stage; operators are the tests.
 */
import { randomBytes } from "node:crypto";
import { inject } from "vitest";
import type { Config } from "../../../cli/node.ts";
import { ClientProcess } from "../client-process.ts";
import { ROOT_TOKEN } from "../node-process.ts";
import { RawClient } from "../raw-client.ts";
import { RoundRobin } from "../round-robin.ts";
import { TillNode } from "./till-nodes.ts";

const TILLS = 1_000;
/** Every so many-th till has a refund. */
const REFUND_EVERY = 20;
const SALE = 500;
export const REFUND = 120;

/** Between an answer and the next call, milliseconds: clients shall notice an interruption, not be the load. */
const TRAFFIC_PAUSE_MS = 10;

const hasRefund = (i: number) => i % REFUND_EVERY === 0;
export const tills: readonly string[] = Array.from({ length: TILLS }, (_, i) => `t${i}`);
const refunded = tills.filter((_, i) => hasRefund(i));
/** Totals of the tills as they should be. */
export const rightTotals: readonly number[] = tills.map((_, i) =>
	hasRefund(i) ? 2 * SALE - REFUND : 2 * SALE,
);

/** Calls from client to client, one after the other with a moment between, until it is told to end. */
class Traffic {
	answered = 0;
	readonly failed: string[] = [];
	#running = true;
	readonly #done: Promise<void>;

	constructor(call: (n: number) => Promise<unknown>) {
		this.#done = this.#run(call);
	}

	async end(): Promise<void> {
		this.#running = false;
		await this.#done;
	}

	async #run(call: (n: number) => Promise<unknown>): Promise<void> {
		for (let n = 0; this.#running; n++) {
			const answer = await call(n).catch(String);
			if (answer === n + 1) this.answered++;
			else this.failed.push(String(answer));
			await new Promise((resolve) => setTimeout(resolve, TRAFFIC_PAUSE_MS));
		}
	}
}

export class Incident {
	/** Arguments that tell any `mycelog` command where the log is. */
	readonly place: readonly string[];
	readonly nodes: readonly TillNode[];
	readonly traffic: Traffic;
	/** Of the refunds' records, by address. */
	readonly refundedAt: ReadonlyMap<string, number>;
	readonly #clients: readonly ClientProcess[];
	readonly #balancer: RoundRobin;

	private constructor(
		nodes: readonly TillNode[],
		place: readonly string[],
		balancer: RoundRobin,
		clients: readonly ClientProcess[],
		traffic: Traffic,
		offsets: readonly number[],
	) {
		this.nodes = nodes;
		this.place = place;
		this.#balancer = balancer;
		this.#clients = clients;
		this.traffic = traffic;
		this.refundedAt = new Map(refunded.map((id, i) => [`till/${id}`, offsets[i] as number]));
	}

	/** `count` above 1: on Kafka. */
	static async start(count: number): Promise<Incident> {
		const prefix = `incident-${randomBytes(4).toString("hex")}`;
		const kafkaUri = count === 1 ? undefined : inject("kafkaBrokers").split(",");
		const shared: Partial<Config> = kafkaUri ? { kafkaUri, prefix } : {};
		const nodes: TillNode[] = [];
		while (nodes.length < count) nodes.push(await TillNode.start("mistaken", shared));
		const [node] = nodes as [TillNode];
		const kafka = kafkaUri ? ["--kafka-uri", kafkaUri.join(","), "--prefix", prefix] : [];
		const place = ["--data-dir", node.dataDir, ...kafka];
		const balancer = await RoundRobin.before(nodes.map(({ url }) => url));
		const clients = [ClientProcess.python(), ClientProcess.javascript()] as const;
		const traffic = await trafficBetween(balancer.url, ...clients);
		const sale = { type: "sale", amount: SALE } as const;
		const refund = { type: "refund", amount: REFUND } as const;
		await node.tell(tills.map((id) => [id, sale]));
		const offsets = await node.tell(refunded.map((id) => [id, refund]));
		await node.tell(tills.map((id) => [id, sale]));
		// They are folded, and the mistake is in the states.
		const totals = await node.totals(tills);
		if (totals[0] !== 2 * SALE + REFUND || totals[1] !== 2 * SALE)
			throw new Error(`totals are ${totals.slice(0, 2)}`);
		return new Incident(nodes, place, balancer, clients, traffic, offsets);
	}

	/** One node after the other, as a deployment does; `between` is done while a node is stopped. */
	async rollOut(between: () => Promise<void> = async () => {}): Promise<void> {
		for (const node of this.nodes) {
			await node.stop();
			await between();
			await node.start("mended");
		}
	}

	totals(): Promise<number[]> {
		return (this.nodes[0] as TillNode).totals(tills);
	}

	async remove(): Promise<void> {
		await this.traffic.end();
		for (const client of this.#clients) client.stop();
		await this.#balancer.close();
		await Promise.all(this.nodes.map((node) => node.remove()));
	}
}

async function trafficBetween(url: string, callee: ClientProcess, caller: ClientProcess): Promise<Traffic> {
	const root = await RawClient.connect(url, { clientId: "root", token: ROOT_TOKEN });
	await root.manage("create_workspace", { id: "shop", name: "shop", persistent: true });
	const token = (await root.manage("generate_token", { workspace: "shop" })) as string;
	await root.leave();
	await callee.connect("callee", url, { workspace: "shop", token });
	await callee.run("register", { name: "callee", id: "sums" });
	await caller.connect("caller", url, { workspace: "shop", token });
	const id = "shop/callee:sums";
	await caller.run("find", { name: "caller", id });
	return new Traffic((n) => caller.call("caller", id, "add", [n, 1]));
}
