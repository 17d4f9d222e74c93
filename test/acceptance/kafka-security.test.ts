/**
 * Nodes whose brokers want TLS, a login, or the node's own certificate: what works with the right ones, and what is
 * said about the wrong ones.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { SASL_MECHANISMS } from "../../persistence/kafka-security.ts";
import { type LocalBrokers, type SecureAccess, startLocalBrokers } from "../kit/kafka-brokers.ts";
import { BROKER_USER } from "../kit/kafka-brokers-settings.ts";
import { mycelog } from "../kit/mycelog.ts";
import { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

/** Nodes start and stop several times, milliseconds. */
const PATIENCE_MS = 240_000;

let brokers: LocalBrokers;
let secure: SecureAccess;
let directory: string;
const files = { password: "", wrong: "" };

beforeAll(async () => {
	directory = mkdtempSync(join(tmpdir(), "mycelog-security-"));
	brokers = await startLocalBrokers({ secure: true });
	secure = brokers.secure as SecureAccess;
	for (const [name, text] of [
		["password", BROKER_USER.password],
		["wrong", "guessed"],
	] as const) {
		files[name] = join(directory, name);
		writeFileSync(files[name], `${text}\n`);
	}
});
vi.setConfig({ testTimeout: PATIENCE_MS });
afterAll(async () => {
	await brokers?.stop();
	rmSync(directory, { recursive: true, force: true });
});

const trusted = () => ["--kafka-tls", "on", "--kafka-tls-ca-file", secure.certificates.authority];
const login = (mechanism: string, passwordFile: string) => [
	...["--kafka-sasl-mechanism", mechanism, "--kafka-sasl-username", BROKER_USER.username],
	...["--kafka-sasl-password-file", passwordFile],
];

/** One node: two clients, a call between them, the operator's view; in the whole suite then a restart. */
async function smoke(address: string, extra: readonly string[], isWhole = false): Promise<void> {
	const [node] = (await NodeProcess.startCluster(1, { brokers: address, extra })) as [NodeProcess];
	try {
		const { id: workspace, token } = await makeWorkspace(node, "secure");
		const provider = await RawClient.connect(node.url, { clientId: "provider", workspace, token });
		await provider.serve("echo", (method, args) => [method, ...args]);
		const caller = await RawClient.connect(node.url, { clientId: "caller", workspace, token });
		expect(await caller.call(provider.peer, "services.echo.say", ["a", 1])).toEqual(["say", "a", 1]);
		await Promise.all([provider.leave(), caller.leave()]);
		const shown = await mycelog(["actors", "--type", "workspace", "--json", ...node.place, ...extra]);
		expect(shown).toMatchObject({ exitCode: 0, stdout: expect.stringContaining(workspace) });
		if (!isWhole) return;
		await node.terminate();
		await node.restart();
		const again = await RawClient.connect(node.url, { clientId: "again", workspace, token });
		expect(again.info.workspace).toBe(workspace);
		await again.leave();
	} finally {
		await node.remove();
	}
}

async function refusal(address: string, extra: readonly string[], env: NodeJS.ProcessEnv = {}) {
	const dataDir = join(directory, `data-${Math.random()}`);
	const place = ["--port", "0", "--data-dir", dataDir, "--kafka-uri", address];
	return mycelog(["start", ...place, ...extra], env);
}

describe.each(SASL_MECHANISMS)("SASL_SSL with %s", (mechanism) => {
	test("scenario 56: with good credentials the smoke suite is green", async () => {
		const isWhole = mechanism === "SCRAM-SHA-512";
		await smoke(secure.saslTls, [...trusted(), ...login(mechanism, files.password)], isWhole);
	});

	test("scenario 56: bad credentials are refused clearly, at once, and the password is not shown", async () => {
		const since = performance.now();
		const extra = [...trusted(), ...login(mechanism, files.wrong)];
		const { exitCode, stderr } = await refusal(secure.saslTls, [...extra, "--log-level", "debug"]);
		expect(exitCode).toBe(1);
		expect(stderr).toContain(`Kafka at ${secure.saslTls} refuses this node`);
		expect(stderr).toContain("code: log.access-refused");
		expect(stderr).toContain("--kafka-sasl-");
		expect(stderr).not.toContain("guessed");
		expect(performance.now() - since).toBeLessThan(10_000);
	});
});

test("scenario 56: the same over @platformatic/kafka, with good and bad credentials", async () => {
	const client = ["--kafka-client", "platformatic", ...trusted()];
	await smoke(secure.saslTls, [...client, ...login("SCRAM-SHA-512", files.password)]);
	for (const mechanism of SASL_MECHANISMS) {
		const { exitCode, stderr } = await refusal(secure.saslTls, [...client, ...login(mechanism, files.wrong)]);
		expect(exitCode).toBe(1);
		expect(stderr).toContain(`Kafka at ${secure.saslTls} refuses this node`);
		expect(stderr).toContain("code: log.access-refused");
		expect(stderr).not.toContain("guessed");
	}
	const untrusted = await refusal(secure.saslTls, ["--kafka-client", "platformatic", "--kafka-tls", "on"]);
	expect(untrusted.stderr).toContain("code: log.access-refused");
});

test("the password may come from the environment, and is not shown there either", async () => {
	const name = login("PLAIN", files.wrong).slice(0, 4);
	const extra = [...trusted(), ...name, "--log-level", "debug"];
	const { stderr } = await refusal(secure.saslTls, extra, { MYCELOG_KAFKA_SASL_PASSWORD: "guessed" });
	expect(stderr).toContain("code: log.access-refused");
	expect(stderr).not.toContain("guessed");
});

test("a node shows its certificate to brokers that want one, and is refused without it", async () => {
	const { clientCertificate, clientKey } = secure.certificates;
	await smoke(secure.tls, [
		...trusted(),
		...["--kafka-tls-cert-file", clientCertificate, "--kafka-tls-key-file", clientKey],
	]);
	const { exitCode, stderr } = await refusal(secure.tls, trusted());
	expect(exitCode).toBe(1);
	expect(stderr).toContain("code: log.access-refused");
	expect(stderr).toContain(secure.tls);
});

test("brokers whose certificate nobody trusted signed are refused by name", async () => {
	const { exitCode, stderr } = await refusal(secure.saslTls, ["--kafka-tls", "on"]);
	expect(exitCode).toBe(1);
	expect(stderr).toContain("certificate");
	expect(stderr).toContain("code: log.access-refused");
});
