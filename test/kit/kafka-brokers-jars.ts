/**
 * Kafka's own programs for local brokers: jars from Maven, and how to call Java with them. Owns their cache.
 */
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

export const KAFKA_VERSION = "4.1.0";
const JARS_MS_MAX = 300_000;
const CACHE = join(import.meta.dirname, "../../node_modules/.cache/mycelog-kafka", KAFKA_VERSION);

const run = promisify(execFile);

/** Arguments of `java` that run one of Kafka's programs. */
export async function kafkaProgram(main: string, jvmFlags: readonly string[]): Promise<string[]> {
	return [...jvmFlags, "-cp", join(await jars(), "*"), main];
}

/** Fetched once and kept beside the installed packages. */
async function jars(): Promise<string> {
	const libs = join(CACHE, "libs");
	if (existsSync(libs)) return libs;
	mkdirSync(CACHE, { recursive: true });
	const building = mkdtempSync(join(CACHE, "building-"));
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
