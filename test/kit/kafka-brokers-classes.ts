/**
 * Kafka's classes as a broker has loaded and checked them, kept for all later brokers: nearly a third of a start's
 * processor time. Owns the making, once, by a broker that ends for it.
 */
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startLocalBroker } from "./kafka-brokers.ts";
import { areClassesKept, JVM_FLAGS_TESTS, KAFKA_CACHE, KEPT_CLASSES } from "./kafka-brokers-jars.ts";

/** Before brokers are started. A Java that cannot use what another one has kept goes on without it. */
export async function keepClasses(): Promise<void> {
	if (areClassesKept()) return;
	mkdirSync(KAFKA_CACHE, { recursive: true });
	const directory = mkdtempSync(join(KAFKA_CACHE, "classes-"));
	const made = join(directory, "made.jsa");
	const broker = await startLocalBroker([...JVM_FLAGS_TESTS, `-XX:ArchiveClassesAtExit=${made}`]);
	try {
		await broker.end();
	} finally {
		await broker.stop();
	}
	// In one step, so that a run that was cut off leaves no half file behind. A Java that came without an archive of its own
	// writes none.
	if (existsSync(made)) renameSync(made, KEPT_CLASSES);
	rmSync(directory, { recursive: true, force: true });
}
