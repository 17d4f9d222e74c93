/**
 * One broker that is killed and started again under load, again and again: what writers, an owner and subscribers see.
 * Owns the stage and one round; how many there are is the tests'.
 */
import { randomBytes } from "node:crypto";
import type { KafkaClient } from "../../persistence/kafka-client-names.ts";
import type { LogRecord, PartitionId, PartitionOwner } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { type LocalBroker, startLocalBroker } from "./kafka-brokers.ts";
import { KafkaLoad } from "./kafka-load.ts";
import { NodeProcess } from "./node-process.ts";
import { makeWorkspace } from "./on-each-log.ts";
import { RawClient } from "./raw-client.ts";

const TOPIC = "actors";
const PARTITIONS = 4;
const SUBSCRIBERS = 3;
/** Milliseconds for a node to find out that its broker is back: its longest pause between two tries, and some more. */
const RECOVERY_MS_MAX = 60_000;
/** Between two looks at the node's health, milliseconds. */
const LOOK_EVERY_MS = 50;

/** Takes everything of the log, in order. */
class Reader implements PartitionOwner {
	readonly offsets = new Map<number, number[]>();

	/** A member that the group lost meanwhile goes on where it was, as from a checkpoint. */
	async assigned({ partition }: PartitionId): Promise<number> {
		return (this.offsets.get(partition)?.at(-1) ?? -1) + 1;
	}

	async revoked(): Promise<void> {}

	records({ partition }: PartitionId, batch: readonly LogRecord[]): void {
		const taken = this.offsets.get(partition) ?? [];
		taken.push(...batch.map(({ offset }) => offset));
		this.offsets.set(partition, taken);
	}
}

export class BrokerRestarts {
	readonly load: KafkaLoad;
	readonly #broker: LocalBroker;
	readonly #log: KafkaLog;
	readonly #reader: Reader;
	readonly #node: NodeProcess;
	readonly #emitter: RawClient;
	readonly #subscribers: readonly RawClient[];
	#event = 0;

	private constructor(parts: {
		broker: LocalBroker;
		log: KafkaLog;
		reader: Reader;
		node: NodeProcess;
		clients: readonly RawClient[];
	}) {
		this.#broker = parts.broker;
		this.#log = parts.log;
		this.#reader = parts.reader;
		this.#node = parts.node;
		this.#emitter = parts.clients[0] as RawClient;
		this.#subscribers = parts.clients.slice(1);
		this.load = new KafkaLoad(parts.log, TOPIC, PARTITIONS);
	}

	static async start(client: KafkaClient): Promise<BrokerRestarts> {
		const broker = await startLocalBroker();
		const prefix = `restarts-${randomBytes(6).toString("hex")}`;
		const log = new KafkaLog({ brokers: [broker.brokers], prefix, clientId: "restarts", client });
		await log.open([{ name: TOPIC, partitions: PARTITIONS }]);
		const reader = new Reader();
		await log.own([TOPIC], reader);
		const extra = ["--kafka-client", client];
		const [node] = (await NodeProcess.startCluster(1, { brokers: broker.brokers, extra })) as [NodeProcess];
		const { id: workspace, token } = await makeWorkspace(node, "restarts");
		const connect = (clientId: string) => RawClient.connect(node.url, { clientId, workspace, token });
		const names = ["emitter", ...Array.from({ length: SUBSCRIBERS }, (_, i) => `subscriber-${i}`)];
		const clients = await Promise.all(names.map(connect));
		await Promise.all(clients.slice(1).map((subscriber) => subscriber.manage("subscribe", ["news"])));
		return new BrokerRestarts({ broker, log, reader, node, clients });
	}

	async stop(): Promise<void> {
		await this.#node.remove();
		await this.#log.close(5_000);
		await this.#broker.stop();
	}

	/** Kill and restart under load; resolves when writers go on, the node is ready and its subscribers heard an event. */
	async round(): Promise<void> {
		this.load.start();
		await this.load.more(10);
		await this.#broker.kill();
		await this.#broker.restart();
		await this.load.more(10);
		await this.load.stop();
		await this.#ready();
		await this.#emit();
	}

	/** How often each subscriber heard each event that was emitted. */
	heard(): number[][] {
		return this.#subscribers.map((subscriber) =>
			Array.from({ length: this.#event }, (_, i) => {
				return subscriber.frames.all.filter(({ main }) => main["type"] === "news" && main["data"] === i + 1)
					.length;
			}),
		);
	}

	/** What the owner got that is not exactly the log, by partition; empty: nothing. */
	async missedByOwner(): Promise<string[]> {
		const wrong: string[] = [];
		for (let partition = 0; partition < PARTITIONS; partition++) {
			const { end } = await this.#log.bounds({ topic: TOPIC, partition });
			const taken = () => this.#reader.offsets.get(partition) ?? [];
			// Its last records come by fetches of their own.
			while ((taken().at(-1) ?? -1) < end - 1)
				await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
			const at = Array.from({ length: end }, (_, i) => i).findIndex((offset, i) => taken()[i] !== offset);
			if (at >= 0) wrong.push(`partition ${partition}: offset ${taken()[at]} in place of ${at}`);
			else if (taken().length > end) wrong.push(`partition ${partition}: more than its ${end} records`);
		}
		return wrong;
	}

	async #ready(): Promise<void> {
		const since = performance.now();
		for (;;) {
			const { status, detail } = await this.#node.health();
			if (status === "OK") return;
			if (performance.now() - since > RECOVERY_MS_MAX)
				throw new Error(`the node did not recover: ${status} ${JSON.stringify(detail)}`);
			await new Promise((resolve) => setTimeout(resolve, LOOK_EVERY_MS));
		}
	}

	async #emit(): Promise<void> {
		const data = ++this.#event;
		this.#emitter.send({ type: "news", to: "*", data });
		await Promise.all(
			this.#subscribers.map((subscriber) =>
				subscriber.frames.first(
					({ main }) => main["type"] === "news" && main["data"] === data,
					`event ${data}`,
				),
			),
		);
	}
}
