/**
 * Claims of the Kafka log over each client library, on a real broker that is also killed, frozen and started again.
 * Owns the claims; a test file for each library runs them.
 */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { ConfigResourceTypes, Kafka, logLevel } from "kafkajs";
import { afterAll, beforeAll, describe, expect, inject, onTestFinished, test } from "vitest";
import type { KafkaClient } from "../../persistence/kafka-client-names.ts";
import type { Log, LogHealth, LogRecord, PartitionId, PartitionOwner } from "../../persistence/log.ts";
import { partitionName } from "../../persistence/log.ts";
import { KafkaLog, type KafkaLogOptions } from "../../persistence/log-kafka.ts";
import { OWNED_QUEUE_RECORDS_MAX } from "../../persistence/owned-partition.ts";
import { freePorts, type LocalBroker, START_MS_MAX, startLocalBroker } from "../kit/kafka-brokers.ts";
import { makeTopics } from "../kit/make-topics.ts";
import {
	CONTRACT_TOPICS,
	Collector,
	describeLogContract,
	describeUnreachable,
	many,
	numbers,
	readAll,
	record,
	texts,
} from "./log-contract.ts";

const ACTORS: PartitionId = { topic: "actors", partition: 1 };
const CLIENTS: PartitionId = { topic: "clients", partition: 2 };
const NOW = { waitMs: 0, maxRecords: 1_000 };

/** For a test that starts a broker again, milliseconds. */
const BROKER_RESTART_MS_MAX = START_MS_MAX + 60_000;

const [deadPort] = await freePorts(1);

function newPrefix(): string {
	return `test-${randomBytes(6).toString("hex")}`;
}

async function admin() {
	const brokers = inject("kafkaBrokers").split(",");
	const client = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin();
	await client.connect();
	onTestFinished(() => client.disconnect());
	return client;
}

/** Nothing announces a change of health: it is looked at. */
function becomes(log: Log, status: LogHealth["status"]): Promise<void> {
	const { promise, resolve } = Promise.withResolvers<void>();
	const watch = setInterval(() => log.health().status === status && resolve(), 20);
	onTestFinished(() => clearInterval(watch));
	return promise;
}

/** Owners that hand over by a checkpoint both can see, as nodes do. */
class SharedPlace {
	readonly next = new Map<string, number>();
	readonly seen = new Map<string, Set<number>>();
	/** Names of the partitions that some owner has: never two at a time. */
	readonly #owners = new Set<string>();
	#moved: () => void = () => {};
	#wanted = Infinity;
	#reached: () => void = () => {};

	/** `gate`: what every hand-over to this owner waits for. */
	owner(gate?: Promise<void>): PartitionOwner & { readonly owned: Set<string> } {
		const owned = new Set<string>();
		const at = new Map<string, number>();
		return {
			owned,
			assigned: async (id) => {
				const name = partitionName(id);
				expect(this.#owners).not.toContain(name);
				this.#owners.add(name);
				owned.add(name);
				at.set(name, this.next.get(name) ?? 0);
				this.#moved();
				return at.get(name) as number;
			},
			revoked: async (id) => {
				const name = partitionName(id);
				this.#owners.delete(name);
				owned.delete(name);
				this.next.set(name, at.get(name) as number);
				this.#moved();
			},
			records: (id, batch) => {
				this.#take(partitionName(id), batch, at);
				return gate;
			},
		};
	}

	/** Resolves when one owner of the place has so many partitions. */
	async owns({ owned }: { owned: ReadonlySet<string> }, count: number): Promise<void> {
		while (owned.size !== count) {
			await new Promise<void>((resolve) => {
				this.#moved = resolve;
			});
		}
	}

	until(count: number): Promise<void> {
		this.#wanted = count;
		if (this.#count() >= count) return Promise.resolve();
		return new Promise((resolve) => {
			this.#reached = resolve;
		});
	}

	#take(name: string, batch: readonly LogRecord[], at: Map<string, number>): void {
		const offsets = batch.map(({ offset }) => offset);
		const from = at.get(name) as number;
		expect(offsets).toEqual(offsets.map((_, i) => from + i));
		at.set(name, from + offsets.length);
		const seen = this.seen.get(name) ?? new Set();
		this.seen.set(name, seen);
		for (const offset of offsets) seen.add(offset);
		if (this.#count() >= this.#wanted) this.#reached();
	}

	#count(): number {
		let count = 0;
		for (const { size } of this.seen.values()) count += size;
		return count;
	}
}

export function describeKafkaLog(client: KafkaClient): void {
	function kafkaLog(options: Partial<KafkaLogOptions> = {}): KafkaLog {
		const brokers = inject("kafkaBrokers").split(",");
		return new KafkaLog({ brokers, prefix: newPrefix(), clientId: "test", client, ...options });
	}

	async function opened(options: Partial<KafkaLogOptions> = {}): Promise<KafkaLog> {
		const log = kafkaLog(options);
		onTestFinished(() => log.close(5_000));
		await log.open(CONTRACT_TOPICS);
		return log;
	}

	describeLogContract("kafka", () => {
		const prefix = newPrefix();
		return {
			open: async (topics = CONTRACT_TOPICS) => {
				const log = kafkaLog({ prefix });
				onTestFinished(() => log.close(5_000));
				await log.open(topics);
				return log;
			},
			dispose: async () => {},
		};
	});

	describeUnreachable("kafka", () => {
		const broker = `127.0.0.1:${deadPort}`;
		return { log: kafkaLog({ brokers: [broker], openDeadlineMs: 2_000 }), broker, deadlineMs: 2_000 };
	});

	test("addresses before a good one that are dead, or take connections and never answer, do not matter", async () => {
		const silent = createServer();
		silent.listen(0, "127.0.0.1");
		await once(silent, "listening");
		onTestFinished(() => void silent.close());
		const good = inject("kafkaBrokers").split(",");
		const brokers = [`127.0.0.1:${deadPort}`, `127.0.0.1:${(silent.address() as AddressInfo).port}`, ...good];
		const log = await opened({ brokers, openDeadlineMs: 30_000 });
		await log.own(["actors"], new Collector());
		await log.append(ACTORS, many(3));
		expect(texts(await readAll(log, ACTORS))).toEqual(numbers(3));
	});

	test("a batch the broker finds too large fails its own caller only, and is not written", async () => {
		const prefix = newPrefix();
		// Set when the topic is made: a broker puts a later change into force at a moment of its own.
		const configEntries = [{ name: "max.message.bytes", value: "1000" }];
		const numPartitions = CONTRACT_TOPICS.find(({ name }) => name === CLIENTS.topic)?.partitions as number;
		const topics = [{ topic: `${prefix}.${CLIENTS.topic}`, numPartitions, configEntries }];
		await makeTopics(await admin(), topics);
		const log = await opened({ prefix });
		const large = { ...record(""), value: new Uint8Array(5_000) };
		const [refused, accepted] = await Promise.allSettled([
			log.append(CLIENTS, [large]),
			log.append(ACTORS, many(3)),
		]);
		expect(refused).toMatchObject({ reason: { code: "log.record-too-large" } });
		expect(accepted).toEqual({ status: "fulfilled", value: 0 });
		await log.append(CLIENTS, many(2));
		await log.append(ACTORS, many(2, 3));
		expect(texts(await readAll(log, CLIENTS))).toEqual(numbers(2));
		expect(texts(await readAll(log, ACTORS))).toEqual(numbers(5));
	});

	test("what retention took is named by a read, and an owner that asks for it gets what is left", async () => {
		const prefix = newPrefix();
		const log = await opened({ prefix });
		await log.append(ACTORS, many(10));
		const partitions = [{ partition: ACTORS.partition, offset: "6" }];
		const client = await admin();
		// kafkajs deletes from topics only whose leaders it has looked up, and looks once: they must all be there.
		await Promise.all([0, 1, 2, 3].map((partition) => log.bounds({ topic: ACTORS.topic, partition })));
		await client.fetchTopicOffsets(`${prefix}.actors`);
		await client.deleteTopicRecords({ topic: `${prefix}.actors`, partitions });
		const trimmed = { code: "log.offset-trimmed", details: { offset: 2, start: 6 } };
		await expect(log.read(ACTORS, 2, NOW)).rejects.toMatchObject(trimmed);
		const owner = new Collector(2);
		await log.own(["actors"], owner);
		await owner.until(4);
		expect(texts(owner.taken)).toEqual(numbers(4, 6));
	});

	test("a compacted topic keeps the newest record of each key, and an empty value removes its key", async () => {
		const prefix = newPrefix();
		const log = kafkaLog({ prefix });
		onTestFinished(() => log.close(5_000));
		const name = `${prefix}.kept`;
		// Its own settings make the broker compact within seconds; those of the product do within minutes.
		const client = await admin();
		const quick = { "cleanup.policy": "compact", "segment.ms": 100, "min.cleanable.dirty.ratio": 0.01 };
		const entries = { ...quick, "delete.retention.ms": 0, "max.compaction.lag.ms": 100 };
		const configEntries = Object.entries(entries).map(([name, value]) => ({ name, value: String(value) }));
		await makeTopics(client, [{ topic: name, numPartitions: 1, configEntries }]);
		await log.open([
			{ name: "kept", partitions: 1, compacted: true },
			{ name: "made", partitions: 1, compacted: true },
		]);
		const resource = {
			type: ConfigResourceTypes.TOPIC,
			name: `${prefix}.made`,
			configNames: ["cleanup.policy"],
		};
		const { resources } = await client.describeConfigs({ includeSynonyms: false, resources: [resource] });
		expect(resources[0]?.configEntries).toMatchObject([
			{ configName: "cleanup.policy", configValue: "compact" },
		]);
		const kept: PartitionId = { topic: "kept", partition: 0 };
		const put = (key: string, text: string) =>
			log.append(kept, [{ ...record(text), key, timestamp: Date.now() }]);
		for (const [key, text] of [
			["a", "1"],
			["b", "1"],
			["a", "2"],
			["b", ""],
		] as const)
			await put(key, text);
		expect(texts(await readAll(log, kept))).toEqual(["1", "1", "2", ""]);
		// Only closed segments are compacted, and only an append closes one.
		for (let round = 0, left = ["a", "b"]; left.length > 1; round++) {
			await put("later", String(round));
			left = (await readAll(log, kept)).map(({ key }) => key).filter((key) => key !== "later");
			if (left.length > 1) await new Promise((resolve) => setTimeout(resolve, 50));
			else expect(left).toEqual(["a"]);
		}
	});

	test("members share partitions, the same numbers of every topic, and no record is lost as they come and go", async () => {
		const prefix = newPrefix();
		const [writer, first, second] = await Promise.all([
			opened({ prefix }),
			opened({ prefix }),
			opened({ prefix }),
		]);
		const place = new SharedPlace();
		const [one, two] = [place.owner(), place.owner()];
		let written = 0;
		const writeAll = async (log: Log) => {
			const ids = CONTRACT_TOPICS.flatMap(({ name: topic }) =>
				[0, 1, 2, 3].map((partition) => ({ topic, partition })),
			);
			await Promise.all(ids.map((id) => log.append(id, many(5))));
			written += 5 * ids.length;
		};
		await first.own(["actors", "clients"], one);
		await writeAll(writer);
		// By a process that owns nothing, while the group is rebalanced: nothing later brings these to light.
		await Promise.all([second.own(["actors", "clients"], two), writeAll(writer), writeAll(writer)]);
		await place.owns(two, 4);
		await place.until(written);
		for (const { owned } of [one, two]) {
			expect(owned.size).toBe(4);
			for (const name of owned) expect(owned).toContain(name.replace(/^\w+/, "clients"));
		}
		await Promise.all([first.close(5_000), writeAll(writer)]);
		await writeAll(second);
		await place.owns(two, 8);
		await place.until(written);
	});

	test("a member that is behind when another joins still gets all of what it keeps", async () => {
		const prefix = newPrefix();
		const [writer, first, second] = await Promise.all([
			opened({ prefix }),
			opened({ prefix }),
			opened({ prefix }),
		]);
		const place = new SharedPlace();
		const gate = Promise.withResolvers<void>();
		const one = place.owner(gate.promise);
		await first.own(["actors"], one);
		const ids = [0, 1, 2, 3].map((partition) => ({ topic: "actors", partition }));
		// More than an owner's queue holds, so that the rest is still in the log when the group is rebalanced.
		const perPartition = 2 * OWNED_QUEUE_RECORDS_MAX;
		const write = async (id: PartitionId) => {
			for (let i = 0; i < perPartition; i += 512) await writer.append(id, many(512, i));
		};
		await Promise.all(ids.map(write));
		await second.own(["actors"], place.owner());
		gate.resolve();
		await place.owns(one, 2);
		await place.until(ids.length * perPartition);
	});

	describe("with a broker that fails", () => {
		let broker: LocalBroker;
		beforeAll(async () => {
			broker = await startLocalBroker();
		});
		afterAll(() => broker.stop());
		const open = (options: Partial<KafkaLogOptions> = {}) =>
			opened({ brokers: [broker.brokers], ...options });

		test(
			"everything acknowledged before, while and after it is killed is there once, and reaches its owner",
			async () => {
				const warnings: string[] = [];
				const warned = ({ message }: Error) => warnings.push(message);
				process.on("warning", warned);
				onTestFinished(() => void process.off("warning", warned));
				const prefix = newPrefix();
				const log = await open({ prefix });
				const owner = new Collector();
				await log.own(["actors", "clients"], owner);
				let written = 0;
				let stop = false;
				const writing = (async () => {
					for (; !stop; written += 10) await log.append(ACTORS, many(10, written));
				})();
				await owner.until(200);
				broker.signal("SIGKILL");
				await becomes(log, "degraded");
				const before = written;
				await broker.restart();
				await owner.until(before + 200);
				stop = true;
				await writing;
				await owner.until(written);
				expect(texts(await readAll(log, ACTORS))).toEqual(numbers(written));
				expect(texts(owner.taken)).toEqual(numbers(written));
				// The group, too: records of others come by it alone.
				await becomes(log, "healthy");
				await (await open({ prefix })).append(ACTORS, many(1, written));
				await owner.until(written + 1);
				expect(warnings).toEqual([]);
			},
			BROKER_RESTART_MS_MAX,
		);

		test("after an append with unknown outcome the next one acknowledged is really written", async () => {
			const log = await open({ requestDeadlineMs: 1_500 });
			await log.append(ACTORS, [record("first")]);
			await broker.freeze();
			onTestFinished(() => broker.signal("SIGCONT"));
			const since = performance.now();
			const failure = { code: "log.append-failed", message: expect.stringContaining(broker.brokers) };
			await expect(log.append(ACTORS, [record("unknown")])).rejects.toMatchObject(failure);
			expect(performance.now() - since).toBeLessThan(2_500);
			expect(log.health().status).toBe("degraded");
			// As long again: kafkajs gives up the first one in the meantime and takes its sequence number back.
			await expect(log.append(CLIENTS, [record("other")])).rejects.toMatchObject(failure);
			broker.signal("SIGCONT");
			const offset = await log.append(ACTORS, [record("next")]);
			const [read] = await log.read(ACTORS, offset, NOW);
			expect(texts(read ? [read] : [])).toEqual(["next"]);
			await becomes(log, "healthy");
		});

		test("one that takes connections and never answers is refused at start, within the deadline", async () => {
			await broker.freeze();
			onTestFinished(() => broker.signal("SIGCONT"));
			const log = kafkaLog({ brokers: [broker.brokers], openDeadlineMs: 3_000 });
			const since = performance.now();
			await expect(log.open(CONTRACT_TOPICS)).rejects.toMatchObject({ code: "log.unreachable" });
			expect(performance.now() - since).toBeLessThan(3_500);
		});

		test("closing ends at its deadline, and what waits is told", async () => {
			const log = await open();
			await log.own(["actors"], new Collector());
			await broker.freeze();
			onTestFinished(() => broker.signal("SIGCONT"));
			const waiting = log.append(ACTORS, many(1)).catch((error: unknown) => error);
			const since = performance.now();
			await log.close(1_000);
			expect(performance.now() - since).toBeLessThan(1_500);
			expect(await waiting).toMatchObject({ code: "log.append-failed" });
		});
	});
}
