/**
 * A real Kafka broker for tests: KAFKA_BROKERS if set, else Docker through testcontainers, else a local one from
 * Maven's Kafka jars. Owns the choice between them; never a mock, and never skipped.
 */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { answers, freePorts, START_MS_MAX, startLocalBroker } from "./kafka-brokers.ts";
import { keepClasses } from "./kafka-brokers-classes.ts";
import { JVM_FLAGS_TESTS, KAFKA_VERSION } from "./kafka-brokers-jars.ts";
import { settingsOf } from "./kafka-brokers-settings.ts";

/** As a broker in use is compiled; benchmarks measure against it. */
export const JVM_FLAGS_BENCHMARKS = ["-Xmx512m", "-XX:+UseSerialGC"];

export interface KafkaBroker {
	/** `host:port`. */
	readonly brokers: string;
	/** Which of the three ways gave it. */
	readonly source: "environment" | "docker" | "local";
	stop(): Promise<void>;
}

/** `jvmFlags`: of a local broker. */
export async function startKafkaBroker(jvmFlags = JVM_FLAGS_TESTS): Promise<KafkaBroker> {
	const given = process.env["KAFKA_BROKERS"];
	if (given) {
		await answers(given, START_MS_MAX);
		return { brokers: given, source: "environment", stop: async () => {} };
	}
	if (await works("docker", ["info"])) return startInDocker();
	if ((await works("java", ["-version"])) && (await works("mvn", ["-version"]))) {
		await keepClasses();
		return startLocalBroker(jvmFlags);
	}
	throw new Error(
		"The tests need a real Kafka broker. Set KAFKA_BROKERS=host:port, or start Docker, or install Java 17+ and Maven.",
	);
}

async function startInDocker(): Promise<KafkaBroker> {
	const { GenericContainer, Wait } = await import("testcontainers");
	const [port] = await freePorts(1);
	const ports = [{ plain: 9092, controller: 9093, saslTls: 9094, tls: 9095 }];
	const settings = settingsOf({ directory: "/tmp/kafka", id: 1, ports, certificates: undefined, extra: {} });
	const container = await new GenericContainer(`apache/kafka:${KAFKA_VERSION}`)
		.withExposedPorts({ container: 9092, host: port as number })
		.withEnvironment({
			...environmentOf(settings),
			KAFKA_ADVERTISED_LISTENERS: `PLAINTEXT://127.0.0.1:${port}`,
			KAFKA_LISTENERS: "PLAINTEXT://0.0.0.0:9092,CONTROLLER://127.0.0.1:9093",
		})
		.withWaitStrategy(Wait.forLogMessage("Kafka Server started"))
		.start();
	const brokers = `127.0.0.1:${port}`;
	await answers(brokers, START_MS_MAX);
	return { brokers, source: "docker", stop: async () => void (await container.stop()) };
}

function environmentOf(settings: Readonly<Record<string, string | number>>): Record<string, string> {
	const pairs = Object.entries(settings);
	return Object.fromEntries(
		pairs.map(([name, value]) => [`KAFKA_${name.toUpperCase().replaceAll(".", "_")}`, String(value)]),
	);
}

export async function works(command: string, args: string[]): Promise<boolean> {
	return promisify(execFile)(command, args, { timeout: 20_000 }).then(
		() => true,
		() => false,
	);
}
