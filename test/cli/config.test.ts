/** Where a configuration comes from, and what is refused before anything listens. */
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { describeConfig, resolveConfig } from "../../cli/config.ts";
import { CONFIGURATION_PAGE, configurationPage } from "../../cli/configuration-page.ts";
import { nodeIdOf, secretsOf } from "../../cli/data-directory.ts";
import { requireNativeModule } from "../../cli/native-modules.ts";
import { OPTION_KEYS, OPTIONS } from "../../cli/options.ts";
import { MycelogError } from "../../persistence/errors.ts";

let directory: string;
beforeEach(() => {
	directory = mkdtempSync(join(tmpdir(), "mycelog-config-"));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function file(content: string): string {
	const path = join(directory, "mycelog.json");
	writeFileSync(path, content);
	return path;
}

function refusal(flags: Record<string, string>, environment: Record<string, string> = {}): MycelogError {
	try {
		resolveConfig({ flags, environment });
	} catch (error) {
		if (MycelogError.is(error)) return error;
		throw error;
	}
	throw new Error("the configuration was accepted");
}

describe("precedence", () => {
	test("without any source every option has its default and no origin", () => {
		const { config, origins } = resolveConfig({ flags: {}, environment: { PATH: "/bin" } });
		for (const key of OPTION_KEYS) expect(config[key]).toEqual(OPTIONS[key].fallback);
		expect(origins).toEqual({});
	});

	test("scenario 52: a flag wins over the environment, the environment over the file, the file over the default", () => {
		const config = file('{ "port": 1, "host": "10.0.0.1", "log-level": "warn" }');
		const resolved = resolveConfig({
			flags: { config, port: "3" },
			environment: { MYCELOG_PORT: "2", MYCELOG_HOST: "10.0.0.2" },
		});
		expect(resolved.config).toMatchObject({ port: 3, host: "10.0.0.2", logLevel: "warn", partitions: 64 });
		expect(resolved.origins).toEqual({
			port: "flag --port",
			host: "environment MYCELOG_HOST",
			logLevel: `file ${config}`,
		});
	});

	test("the file can be named in the environment, and an empty variable counts as not set", () => {
		const environment = { MYCELOG_CONFIG: file('{ "port": 7 }'), MYCELOG_KAFKA_URI: "" };
		const { config } = resolveConfig({ flags: {}, environment });
		expect(config).toMatchObject({ port: 7, kafkaUri: undefined });
	});

	test("effective values are described with their origins and without secrets", () => {
		const environment = { MYCELOG_PORT: "8", MYCELOG_JWT_SECRET: "hidden" };
		const described = describeConfig(resolveConfig({ flags: {}, environment }));
		expect(described["port"]).toEqual({ value: 8, from: "environment MYCELOG_PORT" });
		expect(described["durability"]).toEqual({ value: "power", from: "default" });
		expect(JSON.stringify(described)).not.toContain("hidden");
	});

	test("brokers are split at commas and may be written as kafka:// addresses", () => {
		const flags = { kafkaUri: "kafka://a:9092, b:9093,[::1]:9094" };
		expect(resolveConfig({ flags, environment: {} }).config.kafkaUri).toEqual([
			"a:9092",
			"b:9093",
			"[::1]:9094",
		]);
	});
});

describe("refusals name the option and where it came from", () => {
	test("an unknown MYCELOG_ variable", () => {
		const error = refusal({}, { MYCELOG_PROT: "1" });
		expect(error.code).toBe("config.unknown-option");
		expect(error.message).toMatch(/MYCELOG_PROT.*environment.*MYCELOG_PORT/);
	});

	test("an unknown key in the file", () => {
		const config = file('{ "prot": 1 }');
		const error = refusal({ config });
		expect(error.code).toBe("config.unknown-option");
		expect(error.message).toContain(`"prot" in file ${config}`);
	});

	test.each([
		["port", "65536", /port cannot be "65536" \(flag --port\).*0 to 65535/],
		["port", "80a", /whole number/],
		["partitions", "0", /1 to 1024/],
		["durability", "none", /power, process/],
		["publicUrl", "ftp://x", /public-url.*URL/],
		["basePath", "mycelog", /base-path.*path/],
		["kafkaUri", "broker", /host:9092/],
		["kafkaUri", "broker:99999", /host:9092/],
		["nodeId", "a/b", /letters, digits/],
		["logLevel", "loud", /trace, debug/],
		["dataDir", " ", /not empty/],
	])("%s = %j", (key, text, words) => {
		const error = refusal({ [key]: text });
		expect(error.code).toBe("config.invalid-value");
		expect(error.message).toMatch(words);
	});

	test.each([
		["no JSON", "{"],
		["no object", "[]"],
		["a value that is neither text nor number", '{ "port": [1] }'],
	])("a file with %s", (_, content) => {
		const config = file(content);
		expect(refusal({ config })).toMatchObject({ code: "config.invalid-value" });
		expect(refusal({ config }).message).toContain(config);
	});

	test("a file that is not there", () => {
		const config = join(directory, "missing.json");
		expect(refusal({ config }).message).toContain(config);
	});

	test("kafka-uri from the environment with durability from the file", () => {
		const config = file('{ "durability": "process" }');
		const error = refusal({ config }, { MYCELOG_KAFKA_URI: "a:9092" });
		expect(error.code).toBe("config.contradiction");
		expect(error.message).toContain(`durability (file ${config})`);
		expect(error.message).toContain("kafka-uri (environment MYCELOG_KAFKA_URI)");
	});

	test("a prefix without kafka-uri", () => {
		const error = refusal({ prefix: "team" });
		expect(error.code).toBe("config.contradiction");
		expect(error.message).toMatch(/prefix \(flag --prefix\).*kafka-uri \(not given\)/);
	});

	test.each([
		["a Kafka option", { kafkaTls: "on" }, /kafka-tls \(flag --kafka-tls\).*kafka-uri \(not given\)/],
		["a mechanism", { kafkaUri: "a:1", kafkaSaslMechanism: "PLAIN" }, /kafka-sasl-username \(not given\)/],
		["a user", { kafkaUri: "a:1", kafkaSaslUsername: "u" }, /kafka-sasl-mechanism \(not given\)/],
		["a password", { kafkaUri: "a:1", kafkaSaslPasswordFile: "p" }, /kafka-sasl-username \(not given\)/],
		[
			"an authority",
			{ kafkaUri: "a:1", kafkaTlsCaFile: "ca" },
			/kafka-tls-ca-file.*kafka-tls \(default off\)/,
		],
		["a certificate", { kafkaUri: "a:1", kafkaTls: "on", kafkaTlsCertFile: "c" }, /kafka-tls-key-file \(not/],
		["a key", { kafkaUri: "a:1", kafkaTls: "on", kafkaTlsKeyFile: "k" }, /kafka-tls-cert-file \(not/],
		[
			"more in-sync replicas than replicas",
			{ kafkaUri: "a:1", kafkaReplicationFactor: "2", kafkaMinInsyncReplicas: "3" },
			/kafka-min-insync-replicas.*kafka-replication-factor/,
		],
	])("%s without what it needs", (_, flags, words) => {
		const error = refusal(flags as unknown as Record<string, string>);
		expect(error.code).toBe("config.contradiction");
		expect(error.message).toMatch(words);
	});

	test("the password of a Kafka login without a user, without printing it", () => {
		const error = refusal({ kafkaUri: "a:1" }, { MYCELOG_KAFKA_SASL_PASSWORD: "s3cr3t" });
		expect(error.code).toBe("config.contradiction");
		expect(error.message).toMatch(/MYCELOG_KAFKA_SASL_PASSWORD.*kafka-sasl-username \(not given\)/);
		expect(error.message).not.toContain("s3cr3t");
	});

	test("a secret given twice, without printing it", () => {
		const inBoth = refusal({ jwtSecretFile: "x" }, { MYCELOG_JWT_SECRET: "s3cr3t" });
		expect(inBoth.code).toBe("config.contradiction");
		expect(inBoth.message).toMatch(/MYCELOG_JWT_SECRET \(environment\).*jwt-secret-file \(flag/);
		const twice = refusal({}, { MYCELOG_ROOT_TOKEN: "one-s3cr3t", HYPHA_ROOT_TOKEN: "other-s3cr3t" });
		expect(twice.message).toMatch(/MYCELOG_ROOT_TOKEN.*HYPHA_ROOT_TOKEN/);
		expect(inBoth.message + twice.message).not.toContain("s3cr3t");
	});
});

describe("what a data directory keeps", () => {
	const config = () => resolveConfig({ flags: { dataDir: join(directory, "data") }, environment: {} }).config;

	test("the node id is made once and kept; a configured one wins", () => {
		const id = nodeIdOf(config());
		expect(id).toMatch(/^node-[0-9a-f]{8}$/);
		expect(nodeIdOf(config())).toBe(id);
		expect(nodeIdOf({ ...config(), nodeId: "n1" })).toBe("n1");
	});

	test("a generated token secret is kept for its owner alone, so that tokens survive restarts", () => {
		const first = secretsOf(config(), {});
		expect(first).toMatchObject({ jwtSecretIsLocal: true, rootToken: undefined });
		expect(secretsOf(config(), {}).jwtSecret).toBe(first.jwtSecret);
		expect(statSync(join(directory, "data", "jwt-secret")).mode & 0o777).toBe(0o600);
	});

	test("secrets from the environment or a file are used and not kept", () => {
		const given = secretsOf(config(), { HYPHA_JWT_SECRET: "from-environment" });
		expect(given).toMatchObject({ jwtSecret: "from-environment", jwtSecretIsLocal: false });
		const rootTokenFile = join(directory, "root");
		writeFileSync(rootTokenFile, "from-file\n");
		expect(secretsOf({ ...config(), rootTokenFile }, { MYCELOG_JWT_SECRET: "x" }).rootToken).toBe(
			"from-file",
		);
		expect(() => statSync(join(directory, "data"))).toThrow("ENOENT");
	});

	test("a secret file that is missing or empty is refused by name", () => {
		const jwtSecretFile = join(directory, "secret");
		expect(() => secretsOf({ ...config(), jwtSecretFile }, {})).toThrow(jwtSecretFile);
		writeFileSync(jwtSecretFile, "\n");
		expect(() => secretsOf({ ...config(), jwtSecretFile }, {})).toThrow(/is empty/);
	});
});

describe("native modules", () => {
	const broken = async () => {
		throw new Error("no such binary");
	};

	test("those this project brings load here", async () => {
		await requireNativeModule("better-sqlite3");
		await requireNativeModule("uWebSockets.js");
	});

	test("a missing one is one error with package, Node version, platform and what to install", async () => {
		const on = (node: string) =>
			requireNativeModule("uWebSockets.js", broken, { node, platform: "linux x64" });
		await expect(on("v24.1.0")).rejects.toMatchObject({
			code: "config.native-module-missing",
			message: expect.stringMatching(/uWebSockets\.js.*v24\.1\.0, linux x64.*npm install uWebSockets\.js@/),
		});
		await expect(on("v22.22.0")).rejects.toThrow(/glibc Linux/);
	});
});

test("docs/operating/configuration.md says what the table of options says", () => {
	expect(readFileSync(CONFIGURATION_PAGE, "utf8")).toBe(configurationPage());
});
