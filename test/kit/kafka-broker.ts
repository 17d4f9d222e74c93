/**
 * A real Kafka broker for tests: KAFKA_BROKERS if set, else Docker through testcontainers, else a local one from
 * Maven's Kafka jars. Owns its start and end; never a mock, and never skipped.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Kafka, logLevel } from "kafkajs";

const KAFKA_VERSION = "4.1.0";
const START_MS_MAX = 60_000;
const JARS_MS_MAX = 300_000;
/** Small and quick to start; throughput is not what tests measure. */
const JVM_FLAGS_TESTS = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"];
/** As a broker in use is compiled; benchmarks measure against it. */
export const JVM_FLAGS_BENCHMARKS = ["-Xmx512m", "-XX:+UseSerialGC"];
const CACHE = join(import.meta.dirname, "../../node_modules/.cache/mycelog-kafka", KAFKA_VERSION);

const run = promisify(execFile);

export interface KafkaBroker {
	/** `host:port`. */
	readonly brokers: string;
	/** Which of the three ways gave it. */
	readonly source: "environment" | "docker" | "local";
	stop(): Promise<void>;
}

/** A broker of this machine that tests may also kill, freeze and start again on the same port and data. */
export interface LocalBroker extends KafkaBroker {
	readonly pid: number;
	signal(signal: "SIGKILL" | "SIGCONT"): void;
	/** SIGSTOP. Resolves when no thread of it runs any more, which is a moment after the signal. */
	freeze(): Promise<void>;
	/** After a SIGKILL. */
	restart(): Promise<void>;
}

/** `jvmFlags`: of a local broker. */
export async function startKafkaBroker(jvmFlags = JVM_FLAGS_TESTS): Promise<KafkaBroker> {
	const given = process.env["KAFKA_BROKERS"];
	if (given) {
		await answers(given, START_MS_MAX);
		return { brokers: given, source: "environment", stop: async () => {} };
	}
	if (await works("docker", ["info"])) return startInDocker();
	if ((await works("java", ["-version"])) && (await works("mvn", ["-version"])))
		return startLocalBroker(jvmFlags);
	throw new Error(
		"The tests need a real Kafka broker. Set KAFKA_BROKERS=host:port, or start Docker, or install Java 17+ and Maven.",
	);
}

export async function startLocalBroker(jvmFlags = JVM_FLAGS_TESTS): Promise<LocalBroker> {
	const libs = await jars();
	const directory = mkdtempSync(join(tmpdir(), "mycelog-kafka-"));
	const [port, controllerPort] = await freePorts(2);
	const config = join(directory, "server.properties");
	writeFileSync(config, properties(directory, port as number, controllerPort as number));
	const java = (main: string, ...args: string[]) => [...jvmFlags, "-cp", join(libs, "*"), main, ...args];
	// One that starts with a dash would be taken for an option.
	const id = Buffer.from(randomUUID().replaceAll("-", ""), "hex").toString("base64url").replace(/^-/, "A");
	await run("java", java("kafka.tools.StorageTool", "format", "-t", id, "-c", config));
	const brokers = `127.0.0.1:${port}`;
	let child = await launch(java("kafka.Kafka", config), brokers);
	return {
		brokers,
		source: "local",
		get pid() {
			return child.pid as number;
		},
		signal: (signal) => void child.kill(signal),
		async freeze() {
			child.kill("SIGSTOP");
			while (!isStopped(child.pid as number)) await new Promise((resolve) => setImmediate(resolve));
		},
		async restart() {
			await ended(child);
			child = await launch(java("kafka.Kafka", config), brokers);
		},
		async stop() {
			child.kill("SIGCONT");
			child.kill("SIGKILL");
			await ended(child);
			rmSync(directory, { recursive: true, force: true });
		},
	};
}

/** Linux tells; elsewhere the signal has to do. */
function isStopped(pid: number): boolean {
	const tasks = `/proc/${pid}/task`;
	if (!existsSync(tasks)) return true;
	try {
		return readdirSync(tasks).every((task) => {
			return /^State:\s+T/m.test(readFileSync(`${tasks}/${task}/status`, "utf8"));
		});
	} catch {
		// A thread ended while it was looked at, so they do run.
		return false;
	}
}

async function startInDocker(): Promise<KafkaBroker> {
	const { GenericContainer, Wait } = await import("testcontainers");
	const [port] = await freePorts(1);
	const container = await new GenericContainer(`apache/kafka:${KAFKA_VERSION}`)
		.withExposedPorts({ container: 9092, host: port as number })
		.withEnvironment({
			...environmentOf(properties("/tmp/kafka", 9092, 9093)),
			KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
			KAFKA_LISTENERS: "PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093",
		})
		.withWaitStrategy(Wait.forLogMessage("Kafka Server started"))
		.start();
	const brokers = `127.0.0.1:${port}`;
	await answers(brokers, START_MS_MAX);
	return { brokers, source: "docker", stop: async () => void (await container.stop()) };
}

function properties(directory: string, port: number, controllerPort: number): string {
	return [
		"process.roles=broker,controller",
		"node.id=1",
		`controller.quorum.voters=1@127.0.0.1:${controllerPort}`,
		"controller.listener.names=CONTROLLER",
		`listeners=PLAINTEXT://127.0.0.1:${port},CONTROLLER://127.0.0.1:${controllerPort}`,
		`advertised.listeners=PLAINTEXT://127.0.0.1:${port}`,
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"inter.broker.listener.name=PLAINTEXT",
		`log.dirs=${join(directory, "data")}`,
		"auto.create.topics.enable=false",
		"offsets.topic.num.partitions=4",
		"offsets.topic.replication.factor=1",
		"transaction.state.log.num.partitions=4",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"group.initial.rebalance.delay.ms=0",
		// Compaction is looked at by tests; by default it runs every 15 seconds.
		"log.cleaner.backoff.ms=200",
		"",
	].join("\n");
}

function environmentOf(text: string): Record<string, string> {
	const pairs = text
		.split("\n")
		.filter(Boolean)
		.map((line) => line.split("=") as [string, string]);
	return Object.fromEntries(
		pairs.map(([name, value]) => [`KAFKA_${name.toUpperCase().replaceAll(".", "_")}`, value]),
	);
}

/** Kafka's jars, fetched once and kept beside the installed packages. */
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

async function launch(args: string[], brokers: string): Promise<ChildProcess> {
	const child = spawn("java", args, { stdio: ["ignore", "pipe", "pipe"] });
	let output = "";
	const keep = (chunk: Buffer) => {
		output = (output + chunk.toString()).slice(-8_000);
	};
	child.stdout.on("data", keep);
	child.stderr.on("data", keep);
	const failed = new Promise<never>((_, reject) => {
		child.once("exit", (code) => reject(new Error(`the Kafka broker ended with ${code}:\n${output}`)));
	});
	failed.catch(() => {
		// Only its start is awaited here; later ends are the tests' own doing.
	});
	await Promise.race([answers(brokers, START_MS_MAX), failed]);
	return child;
}

async function answers(brokers: string, withinMs: number): Promise<void> {
	const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING, retry: { retries: 0 } });
	const since = Date.now();
	for (;;) {
		const admin = kafka.admin();
		try {
			await admin.connect();
			await admin.listTopics();
			return;
		} catch (cause) {
			if (Date.now() - since > withinMs) throw new Error(`no Kafka broker answers at ${brokers}`, { cause });
			await new Promise((resolve) => setTimeout(resolve, 100));
		} finally {
			await admin.disconnect();
		}
	}
}

async function ended(child: ChildProcess): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null) return;
	await new Promise((resolve) => child.once("exit", resolve));
}

async function works(command: string, args: string[]): Promise<boolean> {
	return run(command, args, { timeout: 20_000 }).then(
		() => true,
		() => false,
	);
}

/** Ports that were free a moment ago, all different. */
export async function freePorts(count: number): Promise<number[]> {
	const servers = await Promise.all(
		Array.from({ length: count }, async () => {
			const server = createServer();
			await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
			return server;
		}),
	);
	const ports = servers.map((server) => (server.address() as { port: number }).port);
	await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
	return ports;
}
