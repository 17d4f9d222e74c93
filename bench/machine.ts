/**
 * What the figures were measured on, without names of hosts or paths. Owns the versions' places.
 */
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import Database from "better-sqlite3";
import type { KafkaBroker } from "../test/kit/kafka-broker.ts";

const GIB = 1024 ** 3;

/** `broker`: undefined where the run had none. */
export function machineLine(broker: KafkaBroker | undefined): string {
	const processors = cpus();
	const database = new Database(":memory:");
	const sqlite = database.prepare("SELECT sqlite_version()").pluck().get();
	database.close();
	return [
		`${processors.length} cores (${processors[0]?.model.trim() ?? "unknown"})`,
		`${Math.round(totalmem() / GIB)} GB`,
		`${process.platform} ${release().split("-")[0]}`,
		`Node ${process.version}`,
		`SQLite ${sqlite} (better-sqlite3 ${versionOf("better-sqlite3")})`,
		`kafkajs ${versionOf("kafkajs")}`,
		`@platformatic/kafka ${versionOf("@platformatic/kafka")}`,
		broker ? `Kafka broker (${broker.source})` : "no Kafka broker",
	].join(", ");
}

function versionOf(name: string): string {
	// Not every package lets its package.json be required.
	const file = new URL(`../node_modules/${name}/package.json`, import.meta.url);
	return JSON.parse(readFileSync(file, "utf8")).version;
}
