/** Retention on Kafka in real time: the node looks every 30 s, so a test of it takes minutes. */
import { Kafka, logLevel } from "kafkajs";
import { expect, onTestFinished, test } from "vitest";
import { startLocalBrokers } from "../kit/kafka-brokers.ts";
import { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

/** The least that a node takes, milliseconds. */
const RETENTION_MS = 60_000;
/** Of the brokers themselves: what they would do with topics that are not made to be kept, milliseconds. */
const BROKERS_MS = 1_000;
/** The retention, three looks, and what a busy machine may add, milliseconds. */
const CUT_MS_MAX = 240_000;

test("scenario 37: the node lets go of old messages of clients while they talk, and goes on from its checkpoints after a crash", async () => {
	// Brokers that would delete what is old within a second.
	const settings = { "log.retention.check.interval.ms": 500, "log.retention.ms": BROKERS_MS };
	const broker = await startLocalBrokers({ settings });
	onTestFinished(() => broker.stop());
	const extra = ["--clients-retention-ms", String(RETENTION_MS), "--log-format", "json"];
	const [node] = (await NodeProcess.startCluster(1, { brokers: broker.brokers, extra })) as [NodeProcess];
	onTestFinished(() => node.remove());
	const admin = new Kafka({ brokers: broker.brokers.split(","), logLevel: logLevel.NOTHING }).admin();
	await admin.connect();
	onTestFinished(() => admin.disconnect());
	const cut = async () => {
		const offsets = await admin.fetchTopicOffsets(`${node.prefix}.clients`);
		return offsets.filter(({ low }) => Number(low) > 0).length;
	};
	const { id: workspace, token } = await makeWorkspace(node, "retention");
	const connect = (clientId: string) => RawClient.connect(node.url, { clientId, workspace, token });
	const [caller, callee] = [await connect("caller"), await connect("callee")];
	await callee.serve("echo", (_, [value]) => value as unknown);
	let calls = 0;
	const talk = async () => {
		for (let i = 0; i < 20; i++)
			expect(await caller.call("callee", "services.echo.echo", [++calls])).toBe(calls);
		return cut();
	};
	await expect.poll(talk, { timeout: CUT_MS_MAX, interval: 2_000 }).toBeGreaterThanOrEqual(2);
	const lows = await admin.fetchTopicOffsets(`${node.prefix}.actors`);
	expect(lows.filter(({ low }) => Number(low) > 0)).toEqual([]);

	await node.kill9();
	await node.restart();
	const [again, other] = [await connect("caller-2"), await connect("callee-2")];
	await other.serve("echo", (_, [value]) => value as unknown);
	expect(await again.call("callee-2", "services.echo.echo", [calls])).toBe(calls);
	expect(
		node
			.output()
			.split("\n")
			.filter((line) => line.includes('"level":50')),
	).toEqual([]);
});
