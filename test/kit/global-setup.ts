/**
 * One Kafka broker for the whole run. Tests keep apart by topic prefixes of their own.
 */
import type { TestProject } from "vitest/node";
import { startKafkaBroker } from "./kafka-broker.ts";

declare module "vitest" {
	interface ProvidedContext {
		kafkaBrokers: string;
	}
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
	const broker = await startKafkaBroker();
	project.provide("kafkaBrokers", broker.brokers);
	return () => broker.stop();
}
