/**
 * The data directory a new broker begins with: Kafka's storage tool writes one, and others are copies of it with names of
 * their own, since each run of the tool is a Java process that takes longer than the rest of a test's setup. Owns the copy.
 */
import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { KAFKA_CACHE, runKafkaProgram } from "./kafka-brokers-jars.ts";
import { settingsText } from "./kafka-brokers-settings.ts";

/** The version of Kafka's metadata and its features: alike for all brokers without users of their own. */
const CHECKPOINT = "bootstrap.checkpoint";

export interface NewBroker {
	readonly directory: string;
	readonly id: number;
	/** Of all its members. */
	readonly clusterId: string;
}

/** Of a cluster, or a directory in one: 22 characters that do not begin like an option. */
export function newKafkaId(): string {
	return `A${randomBytes(16).toString("base64url").slice(1)}`;
}

export async function formatBroker({ directory, id, clusterId }: NewBroker): Promise<void> {
	const data = join(directory, "data");
	mkdirSync(data);
	copyFileSync(await checkpoint(), join(data, CHECKPOINT));
	const names = { version: 1, "cluster.id": clusterId, "node.id": id, "directory.id": newKafkaId() };
	const lines = Object.entries(names).map(([name, value]) => `${name}=${value}\n`);
	writeFileSync(join(data, "meta.properties"), lines.join(""));
}

/** Made once, beside the jars. */
async function checkpoint(): Promise<string> {
	const made = join(KAFKA_CACHE, CHECKPOINT);
	if (existsSync(made)) return made;
	mkdirSync(KAFKA_CACHE, { recursive: true });
	const directory = mkdtempSync(join(KAFKA_CACHE, "formatting-"));
	const config = join(directory, "server.properties");
	// It writes nothing of these ports: nobody listens yet.
	const ports = [{ plain: 1, controller: 2, saslTls: 3, tls: 4 }];
	writeFileSync(config, settingsText({ directory, id: 1, ports, certificates: undefined, extra: {} }));
	await runKafkaProgram("kafka.tools.StorageTool", ["format", "-c", config, "-t", newKafkaId()]);
	// In one step, so that a run that was cut off leaves no half file behind.
	renameSync(join(directory, "data", CHECKPOINT), made);
	rmSync(directory, { recursive: true, force: true });
	return made;
}
