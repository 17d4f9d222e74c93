/** Topics that tests make with settings of their own. Owns waiting until they can be used. */
import type { Admin, ITopicConfig } from "kafkajs";
import { expect } from "vitest";

const MADE_MS_MAX = 30_000;

/** kafkajs looks for the leaders once, and a broker that has not heard of a topic yet makes it fail. */
export async function makeTopics(admin: Admin, topics: readonly ITopicConfig[]): Promise<void> {
	await admin.createTopics({ topics: [...topics], waitForLeaders: false });
	const leaderless = async () => {
		const found = await admin.fetchTopicMetadata({ topics: topics.map(({ topic }) => topic) });
		return found.topics.flatMap(({ partitions }) => partitions).filter(({ leader }) => leader < 0).length;
	};
	await expect.poll(() => leaderless().catch(String), { timeout: MADE_MS_MAX }).toBe(0);
}
