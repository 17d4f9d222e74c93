/** What becomes of a client library's connections when the network between it and a real broker breaks. */
import { randomBytes } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { KafkaAddresses } from "../../persistence/kafka-addresses.ts";
import { loadClient, makeCluster } from "../../persistence/kafka-client.ts";
import { KAFKA_CLIENTS } from "../../persistence/kafka-client-names.ts";
import type { KafkaCluster } from "../../persistence/kafka-cluster.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { Random } from "../../testing/random.ts";
import { CutProxy } from "../kit/cut-proxy.ts";
import { type LocalBrokers, START_MS_MAX, startLocalBrokers } from "../kit/kafka-brokers.ts";
import { CONTRACT_TOPICS, Collector, many, numbers, readAll, texts } from "./log-contract.ts";

/** Milliseconds of one request: so long that a test which waits for it has failed. */
const LONG_MS = 120_000;
const SHORT_MS = 1_000;
const BREAKS = 30;
/** Of what the broker sends between two breaks. */
const BREAK_BYTES_MAX = 3_000;
const ACTORS = { topic: "actors", partition: 1 };

let proxy: CutProxy;
let broker: LocalBrokers;
beforeAll(async () => {
	const behind = async (address: string) => {
		proxy = await CutProxy.to(`http://${address}`);
		return new URL(proxy.url).host;
	};
	broker = await startLocalBrokers({ behind });
}, START_MS_MAX);
afterEach(() => proxy.passNew());
afterAll(async () => {
	await proxy?.cut();
	await broker?.stop();
});

describe.each(KAFKA_CLIENTS)("on %s:", (client) => {
	async function connected(requestMs: number): Promise<KafkaCluster> {
		await loadClient(client);
		const addresses = new KafkaAddresses([new URL(proxy.url).host]);
		const cluster = makeCluster(client, {
			addresses,
			clientId: "proxied",
			security: {},
			connectMs: 5_000,
			requestMs,
		});
		onTestFinished(() => cluster.disconnect());
		await cluster.connect();
		expect(await cluster.countBrokers()).toBe(1);
		return cluster;
	}

	test.for([2, 4, 9, 60])(
		"a connection that breaks %i bytes into an answer costs that answer only",
		async (bytes) => {
			const cluster = await connected(LONG_MS);
			proxy.cutAfter(bytes);
			await expect(cluster.countBrokers()).rejects.toThrow();
			expect(await cluster.countBrokers()).toBe(1);
			expect(await cluster.countBrokers()).toBe(1);
		},
	);

	test("a line that swallows everything is left after one request's time", async () => {
		const cluster = await connected(SHORT_MS);
		proxy.swallow();
		await expect(cluster.countBrokers()).rejects.toThrow();
		proxy.passNew();
		await expect.poll(() => cluster.countBrokers().catch(String)).toBe(1);
	});

	test("what is under way when the cluster is closed is told at once", async () => {
		const cluster = await connected(LONG_MS);
		const swallowed = proxy.swallow();
		const told = expect(cluster.countBrokers()).rejects.toThrow();
		await swallowed;
		await cluster.disconnect();
		await told;
	});

	test("closed while a connection is being opened, it can be opened again", async () => {
		const cluster = await connected(LONG_MS);
		await proxy.cut();
		await expect(cluster.countBrokers()).rejects.toThrow();
		await proxy.mend();
		const opening = cluster.countBrokers();
		await cluster.disconnect();
		await Promise.allSettled([opening]);
		await cluster.connect();
		expect(await cluster.countBrokers()).toBe(1);
	});

	test(`a line that breaks ${BREAKS} times within answers loses, doubles and reorders no record`, async () => {
		const seed = randomBytes(4).readUInt32LE();
		console.log(`seed ${seed}`);
		const random = new Random(seed);
		const log = new KafkaLog({
			brokers: [new URL(proxy.url).host],
			clientId: `broken-${client}`,
			prefix: `broken-${client}`,
			client,
		});
		onTestFinished(() => log.close(10_000));
		await log.open(CONTRACT_TOPICS);
		const owner = new Collector();
		await log.own(["actors"], owner);
		for (let i = 0; i < BREAKS; i++) {
			proxy.cutAfter(random.between(1, BREAK_BYTES_MAX));
			await log.append(ACTORS, many(10, i * 10));
		}
		await owner.until(10 * BREAKS);
		expect(texts(owner.taken)).toEqual(numbers(10 * BREAKS));
		expect(texts(await readAll(log, ACTORS))).toEqual(numbers(10 * BREAKS));
	});
});
