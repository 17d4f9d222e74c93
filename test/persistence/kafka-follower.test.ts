/** Claims of the fetch loops over owned partitions, where leaders come and go. */
import { expect, onTestFinished, test } from "vitest";
import type { KafkaCluster, PartitionFetch } from "../../persistence/kafka-cluster.ts";
import { KafkaFollower } from "../../persistence/kafka-follower.ts";
import { KafkaProgress } from "../../persistence/kafka-progress.ts";
import type { LogRecord } from "../../persistence/log.ts";
import { OwnedPartition } from "../../persistence/owned-partition.ts";

test("a partition that has no leader when it is assigned is read as soon as it has one, and the others meanwhile", async () => {
	let leaders: Record<string, number[]> = { "1": [0] };
	const came = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
	const answer = ({ topic, partition, from }: PartitionFetch) => {
		const record = { key: "", value: new Uint8Array(), headers: {}, timestamp: 1, offset: from };
		return { topic, partition, next: from + 1, end: from + 1, recordsFrom: (): LogRecord[] => [record] };
	};
	// Leaders and answers in the test's hands; a real broker gives no moment between two elections.
	const cluster = {
		connect: async () => {},
		disconnect: async () => {},
		addTargetTopic: async () => {},
		refreshMetadata: async () => {},
		findLeaderForPartitions: () => leaders,
		findBroker: async () => ({
			fetch: async ({ partitions }: { partitions: readonly PartitionFetch[] }) => {
				await new Promise((resolve) => setImmediate(resolve));
				return partitions.map(answer);
			},
		}),
	} as unknown as KafkaCluster;
	const follower = new KafkaFollower({
		cluster,
		topicName: ({ topic }) => topic,
		boundsOf: async () => ({ start: 0, end: 0 }),
		isWriting: () => false,
		progress: new KafkaProgress(() => {}),
		onError: (error) => {
			throw error;
		},
	});
	onTestFinished(() => follower.disconnect());
	const owner = {
		assigned: async () => 0,
		revoked: async () => {},
		records: ({ partition }: { partition: number }) => came[partition]?.resolve(),
	};
	for (const partition of [0, 1]) {
		follower.follow(new OwnedPartition({ topic: "actors", partition }, 0, owner, () => {}));
	}
	await came[0]?.promise;
	leaders = { "-1": [1], "1": [0] };
	await new Promise((resolve) => setImmediate(resolve));
	leaders = { "1": [0], "2": [1] };
	expect(await came[1]?.promise).toBeUndefined();
});
