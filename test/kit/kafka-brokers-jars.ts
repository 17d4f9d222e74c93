/**
 * Kafka's own programs for local brokers: jars from Maven, and how to call Java with them. Owns their cache.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

export const KAFKA_VERSION = "4.1.0";
const JARS_MS_MAX = 300_000;
/** What is made once and kept beside the installed packages. */
export const KAFKA_CACHE = join(
	import.meta.dirname,
	"../../node_modules/.cache/mycelog-kafka",
	KAFKA_VERSION,
);
/** Classes as a broker has loaded them (kafka-brokers-classes.ts). */
export const KEPT_CLASSES = join(KAFKA_CACHE, "broker.jsa");

/** Small and quick to start; throughput is not what tests measure. */
export const JVM_FLAGS_TESTS = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];

const run = promisify(execFile);

/** Arguments of `java` that run one of Kafka's programs. */
export async function kafkaProgram(main: string, jvmFlags: readonly string[]): Promise<string[]> {
	return [...jvmFlags, "-cp", join(await jars(), "*"), main];
}

export function areClassesKept(): boolean {
	return existsSync(KEPT_CLASSES);
}

/** To its end; rejects when it fails. */
export async function runKafkaProgram(main: string, args: readonly string[]): Promise<void> {
	await run("java", [...(await kafkaProgram(main, JVM_FLAGS_TESTS)), ...args]);
}

/** Fetched once. */
async function jars(): Promise<string> {
	const libs = join(KAFKA_CACHE, "libs");
	if (existsSync(libs)) return libs;
	mkdirSync(KAFKA_CACHE, { recursive: true });
	const building = mkdtempSync(join(KAFKA_CACHE, "building-"));
	writeFileSync(
		join(building, "pom.xml"),
		`<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
		<groupId>mycelog</groupId><artifactId>test-broker</artifactId><version>1</version><dependencies><dependency>
		<groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${KAFKA_VERSION}</version>
		</dependency></dependencies></project>`,
	);
	const goal = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies";
	await run("mvn", ["-q", "-B", goal, "-DoutputDirectory=libs"], { cwd: building, timeout: JARS_MS_MAX });
	// In one step, so that a run that was cut off leaves no half set behind.
	if (!existsSync(libs)) renameSync(join(building, "libs"), libs);
	rmSync(building, { recursive: true, force: true });
	return libs;
}
