/**
 * What a local Kafka broker is started with: its settings, and certificates and users where it shall be secure.
 * Owns the text of the settings; processes are kafka-brokers.ts.
 */
import { execFile } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Who may log in to a secure broker, by PLAIN and by SCRAM. */
export const BROKER_USER = { username: "mycelog", password: "wild boletus; 7" } as const;

/**
 * The controller refuses a broker that was killed until its earlier session has ended, 9 seconds by default. Nobody
 * could take over from one that is alone, so its tests need not wait for that.
 */
const ALONE = { "broker.session.timeout.ms": 3_000, "broker.heartbeat.interval.ms": 500 } as const;

export interface BrokerPorts {
	readonly plain: number;
	readonly controller: number;
	/** Of a secure broker: TLS with a login, and TLS with a certificate of the client. */
	readonly saslTls: number;
	readonly tls: number;
}

/** Files in PEM form. The authority signs the broker and the client. */
export interface Certificates {
	readonly authority: string;
	/** Key and certificate in one file, as a broker wants it. */
	readonly broker: string;
	readonly clientKey: string;
	readonly clientCertificate: string;
}

export interface BrokerSettings {
	readonly directory: string;
	/** 1 … the number of brokers. */
	readonly id: number;
	/** Of all brokers, this one's included, in order of ids. */
	readonly ports: readonly BrokerPorts[];
	readonly certificates: Certificates | undefined;
	/** Further ones, by their names in Kafka. */
	readonly extra: Readonly<Record<string, string | number>>;
}

/** By their names in Kafka. */
export function settingsOf({
	directory,
	id,
	ports,
	certificates,
	extra,
}: BrokerSettings): Record<string, string | number> {
	const own = ports[id - 1] as BrokerPorts;
	const listeners = { PLAINTEXT: own.plain, ...(certificates && { SASL_SSL: own.saslTls, SSL: own.tls }) };
	const addresses = Object.entries(listeners).map(([name, port]) => `${name}://127.0.0.1:${port}`);
	return {
		"process.roles": "broker,controller",
		"node.id": id,
		"controller.quorum.voters": ports
			.map(({ controller }, i) => `${i + 1}@127.0.0.1:${controller}`)
			.join(","),
		"controller.listener.names": "CONTROLLER",
		listeners: [...addresses, `CONTROLLER://127.0.0.1:${own.controller}`].join(","),
		"advertised.listeners": addresses.join(","),
		"listener.security.protocol.map": [
			...Object.keys(listeners).map((name) => `${name}:${name}`),
			"CONTROLLER:PLAINTEXT",
		].join(","),
		"inter.broker.listener.name": "PLAINTEXT",
		"log.dirs": join(directory, "data"),
		"auto.create.topics.enable": "false",
		...replicationOf(ports.length),
		"group.initial.rebalance.delay.ms": 0,
		...(ports.length === 1 && ALONE),
		// Compaction is looked at by tests; by default it runs every 15 seconds.
		"log.cleaner.backoff.ms": 200,
		...(certificates && securityOf(certificates)),
		...extra,
	};
}

/** As a file of Java properties. */
export function settingsText(settings: BrokerSettings): string {
	return Object.entries(settingsOf(settings))
		.map(([name, value]) => `${name}=${String(value).replaceAll("\\", "\\\\")}\n`)
		.join("");
}

function replicationOf(brokers: number): Record<string, number> {
	const factor = Math.min(3, brokers);
	const inSync = Math.max(1, factor - 1);
	return {
		"offsets.topic.num.partitions": 4,
		"offsets.topic.replication.factor": factor,
		"transaction.state.log.num.partitions": 4,
		"transaction.state.log.replication.factor": factor,
		"transaction.state.log.min.isr": inSync,
		"min.insync.replicas": inSync,
	};
}

function securityOf({ authority, broker }: Certificates): Record<string, string> {
	const { username, password } = BROKER_USER;
	const module = (name: string) => `org.apache.kafka.common.security.${name}LoginModule required`;
	const sasl = "listener.name.sasl_ssl";
	return {
		"ssl.keystore.type": "PEM",
		"ssl.keystore.location": broker,
		"ssl.truststore.type": "PEM",
		"ssl.truststore.location": authority,
		"listener.name.ssl.ssl.client.auth": "required",
		[`${sasl}.sasl.enabled.mechanisms`]: "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		[`${sasl}.plain.sasl.jaas.config`]: `${module("plain.Plain")} user_${username}="${password}";`,
		[`${sasl}.scram-sha-256.sasl.jaas.config`]: `${module("scram.Scram")};`,
		[`${sasl}.scram-sha-512.sasl.jaas.config`]: `${module("scram.Scram")};`,
	};
}

/** Arguments of the storage tool that make the user known by SCRAM. */
export function scramArguments(): string[] {
	const { username, password } = BROKER_USER;
	return ["SCRAM-SHA-256", "SCRAM-SHA-512"].flatMap((mechanism) => [
		"--add-scram",
		`${mechanism}=[name="${username}",password="${password}"]`,
	]);
}

/** A new authority with a broker for 127.0.0.1 and a client, all valid for a day. */
export async function makeCertificates(directory: string): Promise<Certificates> {
	const file = (name: string) => join(directory, name);
	const openssl = (...args: string[]) => run("openssl", args, { cwd: directory });
	const key = ["-newkey", "rsa:2048", "-nodes"];
	const x509 = ["req", "-x509", ...key, "-days", "1"];
	await openssl(...x509, "-subj", "/CN=test authority", "-keyout", "authority.key", "-out", "authority.pem");
	const signed = async (name: string, extension: string) => {
		const by = ["-CA", "authority.pem", "-CAkey", "authority.key"];
		const subject = [
			"-subj",
			`/CN=${name}`,
			"-addext",
			extension,
			"-addext",
			"basicConstraints=critical,CA:FALSE",
		];
		await openssl(...x509, ...by, ...subject, "-keyout", `${name}.key`, "-out", `${name}.pem`);
	};
	await signed("broker", "subjectAltName=IP:127.0.0.1,DNS:localhost");
	await signed("client", "extendedKeyUsage=clientAuth");
	const both = await Promise.all(["broker.key", "broker.pem"].map((name) => readFile(file(name))));
	await writeFile(file("broker.both.pem"), both);
	return {
		authority: file("authority.pem"),
		broker: file("broker.both.pem"),
		clientKey: file("client.key"),
		clientCertificate: file("client.pem"),
	};
}
