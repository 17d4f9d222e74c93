/**
 * Kafka brokers of this machine, one or several that form a cluster: tests kill, freeze and start them again on the
 * same ports and data. Owns their processes and temporary directories; settings are kafka-brokers-settings.ts.
 */
import { type ChildProcess, spawn } from "node:child_process";
import {
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Kafka, logLevel } from "kafkajs";
import { formatBroker, newKafkaId } from "./kafka-brokers-format.ts";
import {
	areClassesKept,
	JVM_FLAGS_TESTS,
	KEPT_CLASSES,
	kafkaProgram,
	runKafkaProgram,
} from "./kafka-brokers-jars.ts";
import {
	type BrokerPorts,
	type Certificates,
	makeCertificates,
	scramArguments,
	settingsText,
} from "./kafka-brokers-settings.ts";

/** Milliseconds until a broker that does not answer is given up; on a busy machine its start alone takes most of a minute. */
export const START_MS_MAX = 150_000;
/** Characters of a broker's output kept for errors. */
const OUTPUT_CHARACTERS_MAX = 8_000;

/** One of several. */
export interface ClusterBroker {
	/** `host:port`. */
	readonly brokers: string;
	readonly source: "local";
	/** As in metadata: 1 … the number of brokers. */
	readonly id: number;
	readonly pid: number;
	signal(signal: "SIGKILL" | "SIGCONT"): void;
	/** SIGKILL; resolves when it is no more. */
	kill(): Promise<void>;
	/** SIGTERM: it closes what it has; resolves when it is no more. */
	end(): Promise<void>;
	/** SIGSTOP. Resolves when no thread of it runs any more, which is a moment after the signal. */
	freeze(): Promise<void>;
	/** After a SIGKILL; resolves when it answers. */
	restart(): Promise<void>;
}

/** One that is alone. */
export interface LocalBroker extends ClusterBroker {
	stop(): Promise<void>;
}

export interface LocalBrokers {
	/** Addresses of all, separated by commas. */
	readonly brokers: string;
	/** In order of their ids. */
	readonly each: readonly ClusterBroker[];
	/** Addresses with TLS, and what clients need for them; of secure brokers. */
	readonly secure: SecureAccess | undefined;
	stop(): Promise<void>;
}

export interface SecureAccess {
	/** Where clients log in as BROKER_USER. */
	readonly saslTls: string;
	/** Where clients show a certificate. */
	readonly tls: string;
	readonly certificates: Certificates;
}

export interface LocalBrokersOptions {
	readonly count?: number;
	readonly jvmFlags?: readonly string[];
	/** Listen with TLS too. */
	readonly secure?: boolean;
	/** Further settings, by their names in Kafka. */
	readonly settings?: Readonly<Record<string, string | number>>;
	/** Told where a broker listens, it says where clients are sent instead: through a proxy. */
	readonly behind?: (address: string) => Promise<string>;
}

export async function startLocalBroker(jvmFlags = JVM_FLAGS_TESTS): Promise<LocalBroker> {
	const { each, stop } = await startLocalBrokers({ jvmFlags });
	return Object.assign(each[0] as ClusterBroker, { stop });
}

export async function startLocalBrokers({
	count = 1,
	jvmFlags = JVM_FLAGS_TESTS,
	secure = false,
	settings = {},
	behind,
}: LocalBrokersOptions = {}): Promise<LocalBrokers> {
	const directory = mkdtempSync(join(tmpdir(), "mycelog-kafka-"));
	const ports = await portsOf(count);
	const certificates = secure ? await makeCertificates(directory) : undefined;
	const clusterId = newKafkaId();
	const shown = behind && (await Promise.all(ports.map(({ plain }) => behind(`127.0.0.1:${plain}`))));
	const each = ports.map(({ plain }, i) => {
		const own = join(directory, String(i + 1));
		const extra = { ...settings, ...(shown && { "advertised.listeners": `PLAINTEXT://${shown[i]}` }) };
		const config = join(own, "server.properties");
		mkdirSync(own);
		writeFileSync(config, settingsText({ directory: own, id: i + 1, ports, certificates, extra }));
		return new Broker(i + 1, `127.0.0.1:${plain}`, config, jvmFlags);
	});
	const stop = async () => {
		await Promise.all(each.map((broker) => broker.kill()));
		rmSync(directory, { recursive: true, force: true });
	};
	try {
		await Promise.all(each.map((broker) => broker.format(clusterId, secure ? scramArguments() : [])));
		await Promise.all(each.map((broker) => broker.start(count)));
	} catch (error) {
		await stop();
		throw error;
	}
	const addresses = (of: keyof BrokerPorts) => ports.map((own) => `127.0.0.1:${own[of]}`).join(",");
	return {
		brokers: addresses("plain"),
		each,
		secure: certificates && { saslTls: addresses("saslTls"), tls: addresses("tls"), certificates },
		stop,
	};
}

class Broker implements ClusterBroker {
	readonly source = "local";
	readonly id: number;
	readonly brokers: string;
	readonly #config: string;
	readonly #jvmFlags: readonly string[];
	#child: ChildProcess | undefined;

	constructor(id: number, address: string, config: string, jvmFlags: readonly string[]) {
		this.id = id;
		this.brokers = address;
		this.#config = config;
		this.#jvmFlags = jvmFlags;
	}

	get pid(): number {
		return this.#child?.pid as number;
	}

	/** `users`: arguments of the storage tool, which alone can write them. */
	async format(clusterId: string, users: readonly string[]): Promise<void> {
		if (users.length === 0) return formatBroker({ directory: dirname(this.#config), id: this.id, clusterId });
		const args = ["format", "-c", this.#config, "-t", clusterId, ...users];
		await runKafkaProgram("kafka.tools.StorageTool", args);
	}

	/** `members`: brokers that must have found each other. */
	async start(members: number): Promise<void> {
		const classes = areClassesKept() ? [`-XX:SharedArchiveFile=${KEPT_CLASSES}`] : [];
		const program = await kafkaProgram("kafka.Kafka", [...this.#jvmFlags, ...classes]);
		const child = spawn("java", [...program, this.#config], { stdio: ["ignore", "pipe", "pipe"] });
		this.#child = child;
		let output = "";
		const keep = (chunk: Buffer) => {
			output = (output + chunk.toString()).slice(-OUTPUT_CHARACTERS_MAX);
		};
		child.stdout.on("data", keep);
		child.stderr.on("data", keep);
		const failed = new Promise<never>((_, reject) => {
			child.once("exit", (code) => reject(new Error(`the Kafka broker ended with ${code}:\n${output}`)));
		});
		failed.catch(() => {
			// Only its start is awaited here; later ends are the tests' own doing.
		});
		await Promise.race([answers(this.brokers, START_MS_MAX, members), failed]);
	}

	signal(signal: NodeJS.Signals): void {
		this.#child?.kill(signal);
	}

	async kill(): Promise<void> {
		this.signal("SIGKILL");
		await this.#ended();
	}

	async end(): Promise<void> {
		this.signal("SIGTERM");
		await this.#ended();
	}

	async freeze(): Promise<void> {
		this.signal("SIGSTOP");
		while (!isStopped(this.pid)) await new Promise((resolve) => setImmediate(resolve));
	}

	async restart(): Promise<void> {
		await this.#ended();
		await this.start(1);
	}

	async #ended(): Promise<void> {
		const child = this.#child;
		if (!child || child.exitCode !== null || child.signalCode !== null) return;
		await new Promise((resolve) => child.once("exit", resolve));
	}
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

/** `members`: brokers that those at the addresses must know of, themselves included. */
export async function answers(brokers: string, withinMs: number, members = 1): Promise<void> {
	const kafka = new Kafka({ brokers: brokers.split(","), logLevel: logLevel.NOTHING, retry: { retries: 0 } });
	const since = Date.now();
	for (;;) {
		const admin = kafka.admin();
		try {
			await admin.connect();
			const found = (await admin.describeCluster()).brokers.length;
			if (found >= members) return;
			throw new Error(`${found} of ${members} brokers are there`);
		} catch (cause) {
			if (Date.now() - since > withinMs) throw new Error(`no Kafka broker answers at ${brokers}`, { cause });
			await new Promise((resolve) => setTimeout(resolve, 100));
		} finally {
			await admin.disconnect();
		}
	}
}

async function portsOf(count: number): Promise<BrokerPorts[]> {
	const free = await freePorts(4 * count);
	return Array.from({ length: count }, (_, i) => {
		const [plain, controller, saslTls, tls] = free.slice(4 * i) as [number, number, number, number];
		return { plain, controller, saslTls, tls };
	});
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
