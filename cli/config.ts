/**
 * The configuration of one run: flag over environment over file over default, with where each value came from.
 * Owns precedence and refusals; the options are options.ts. Reads one file, nothing else.
 */
import { readFileSync } from "node:fs";
import { MycelogError } from "../persistence/errors.ts";
import { nearestHint } from "../runtime/option-checks.ts";
import {
	CONFIG_FLAG,
	CONFIG_VARIABLE,
	type Config,
	flagOf,
	OPERATOR_TOKEN_VARIABLE,
	OPTION_KEYS,
	OPTIONS,
	type OptionKey,
	SECRETS,
	variableOf,
} from "./options.ts";

/** Where the text of an option came from, in words: `flag --port`, `environment MYCELOG_PORT`, `file x.json`. */
export type Origin = string;

export interface ResolvedConfig {
	readonly config: Config;
	/** Options that are not at their default. */
	readonly origins: Readonly<Partial<Record<OptionKey, Origin>>>;
}

export interface ConfigSources {
	/** Given flags by camel-case name, as text; `config` names the file. */
	readonly flags: Readonly<Partial<Record<string, string>>>;
	readonly environment: Readonly<Partial<Record<string, string>>>;
}

interface Given {
	readonly text: string;
	readonly origin: Origin;
}

type GivenOptions = Partial<Record<OptionKey, Given>>;

/** Throws `config.unknown-option`, `config.invalid-value` or `config.contradiction`, naming option and origin. */
export function resolveConfig({ flags, environment }: ConfigSources): ResolvedConfig {
	const set = Object.entries(environment).filter(([, text]) => text !== undefined && text !== "");
	const variables: Readonly<Partial<Record<string, string>>> = Object.fromEntries(set);
	refuseUnknownVariables(Object.keys(variables));
	const file = flags[CONFIG_FLAG] ?? variables[CONFIG_VARIABLE];
	const given: GivenOptions = {
		...(file === undefined ? undefined : fromFile(file)),
		...fromEnvironment(variables),
		...fromFlags(flags),
	};
	const config = Object.fromEntries(OPTION_KEYS.map((key) => [key, valueGiven(key, given[key])]));
	refuseContradictions(given, variables);
	const origins = Object.fromEntries(
		OPTION_KEYS.flatMap((key) => (given[key] ? [[key, given[key].origin]] : [])),
	);
	return { config: config as unknown as Config, origins };
}

/** Non-secret values with their origins, for one log line. */
export function describeConfig({
	config,
	origins,
}: ResolvedConfig): Record<string, { value: unknown; from: string }> {
	return Object.fromEntries(
		OPTION_KEYS.map((key) => [flagOf(key), { value: config[key] ?? null, from: origins[key] ?? "default" }]),
	);
}

function valueGiven(key: OptionKey, given: Given | undefined): unknown {
	if (!given) return OPTIONS[key].fallback;
	try {
		return OPTIONS[key].parse(given.text);
	} catch (cause) {
		throw new MycelogError(
			"config.invalid-value",
			`${flagOf(key)} cannot be "${given.text}" (${given.origin}): it must be ${(cause as Error).message}`,
			{ option: flagOf(key), origin: given.origin },
			{ cause },
		);
	}
}

function fromFlags(flags: ConfigSources["flags"]): GivenOptions {
	const given: GivenOptions = {};
	for (const key of OPTION_KEYS) {
		const text = flags[key];
		if (text !== undefined) given[key] = { text, origin: `flag --${flagOf(key)}` };
	}
	return given;
}

function fromEnvironment(variables: ConfigSources["environment"]): GivenOptions {
	const given: GivenOptions = {};
	for (const key of OPTION_KEYS) {
		const text = variables[variableOf(key)];
		if (text !== undefined) given[key] = { text, origin: `environment ${variableOf(key)}` };
	}
	return given;
}

function refuseUnknownVariables(names: readonly string[]): void {
	const known = new Set<string>([
		CONFIG_VARIABLE,
		OPERATOR_TOKEN_VARIABLE,
		...OPTION_KEYS.map(variableOf),
		...Object.values(SECRETS).flatMap(({ variables }) => variables),
	]);
	for (const name of names) {
		if (name.startsWith("MYCELOG_") && !known.has(name)) refuseUnknown(name, "the environment", [...known]);
	}
}

function fromFile(path: string): GivenOptions {
	const given: GivenOptions = {};
	for (const [name, value] of Object.entries(readJson(path))) {
		const key = OPTION_KEYS.find((known) => flagOf(known) === name);
		if (!key) refuseUnknown(name, `file ${path}`, OPTION_KEYS.map(flagOf));
		if (!["string", "number"].includes(typeof value)) {
			const text = `${name} (file ${path}) must be a text or a number`;
			throw new MycelogError("config.invalid-value", text, { option: name, file: path });
		}
		given[key] = { text: String(value), origin: `file ${path}` };
	}
	return given;
}

function readJson(path: string): Record<string, unknown> {
	try {
		const content: unknown = JSON.parse(readFileSync(path, "utf8"));
		if (typeof content === "object" && content !== null && !Array.isArray(content)) {
			return content as Record<string, unknown>;
		}
		throw new Error("it does not hold a JSON object");
	} catch (cause) {
		const text = `cannot use the configuration file ${path}: ${(cause as Error).message}`;
		throw new MycelogError("config.invalid-value", text, { file: path }, { cause });
	}
}

function refuseUnknown(name: string, where: string, known: readonly string[]): never {
	throw new MycelogError(
		"config.unknown-option",
		`unknown option "${name}" in ${where}${nearestHint(name, known)}; known: ${known.join(", ")}`,
		{ option: name, where },
	);
}

function refuseContradictions(given: GivenOptions, variables: ConfigSources["environment"]): void {
	const { kafkaUri, durability, prefix } = given;
	if (kafkaUri && durability) {
		contradiction(
			"durability",
			durability.origin,
			"kafka-uri",
			kafkaUri.origin,
			"durability is about the embedded log; with Kafka the brokers decide it",
		);
	}
	if (prefix && !kafkaUri) {
		contradiction("prefix", prefix.origin, "kafka-uri", "not given", "the embedded log has no prefix");
	}
	refuseHalfKafka(given, variables);
	refuseHalfIssuer(given);
	for (const [secret, { file, variables: names }] of Object.entries(SECRETS)) {
		const inEnvironment = names.filter((name) => variables[name] !== undefined);
		const [first, second] = inEnvironment;
		if (first && second && variables[first] !== variables[second]) {
			contradiction(first, "environment", second, "environment", "they hold different values");
		}
		const inFile = given[file];
		if (first && inFile) {
			const why = `both give the ${flagOf(secret).replace("-", " ")}`;
			contradiction(first, "environment", flagOf(file), inFile.origin, why);
		}
	}
}

/** A token is believed only if all three are known. */
function refuseHalfIssuer(given: GivenOptions): void {
	const keys = ["issuer", "issuerAudience", "issuerJwksUri"] as const;
	const missing = keys.find((key) => !given[key]);
	const there = keys.find((key) => given[key]);
	if (!missing || !there) return;
	const why = "an issuer has a name, an audience and keys";
	contradiction(flagOf(there), given[there]?.origin ?? "", flagOf(missing), "not given", why);
}

/** Options of Kafka that need others, or exclude them. */
function refuseHalfKafka(given: GivenOptions, variables: ConfigSources["environment"]): void {
	const needs = (one: OptionKey, other: OptionKey, why: string) => {
		const [first, second] = [given[one], given[other]];
		if (first && !second) contradiction(flagOf(one), first.origin, flagOf(other), "not given", why);
	};
	for (const key of OPTION_KEYS.filter((key) => key.startsWith("kafka"))) {
		needs(key, "kafkaUri", "the embedded log has no brokers");
	}
	needs("kafkaSaslMechanism", "kafkaSaslUsername", "a login has both");
	needs("kafkaSaslUsername", "kafkaSaslMechanism", "a login has both");
	needs("kafkaSaslPasswordFile", "kafkaSaslUsername", "a password is somebody's");
	needs("kafkaTlsCertFile", "kafkaTlsKeyFile", "a certificate is used with its key");
	needs("kafkaTlsKeyFile", "kafkaTlsCertFile", "a key is used with its certificate");
	for (const key of ["kafkaTlsCaFile", "kafkaTlsCertFile", "kafkaTlsKeyFile"] as const) {
		const { [key]: file, kafkaTls } = given;
		const why = "without TLS it would not be used";
		if (file && kafkaTls?.text !== "on")
			contradiction(flagOf(key), file.origin, "kafka-tls", kafkaTls?.origin ?? "default off", why);
	}
	const { kafkaReplicationFactor: copies, kafkaMinInsyncReplicas: inSync } = given;
	if (copies && inSync && Number(inSync.text) > Number(copies.text)) {
		const why = "more copies would have to acknowledge than there are";
		contradiction("kafka-min-insync-replicas", inSync.origin, "kafka-replication-factor", copies.origin, why);
	}
	const password = SECRETS.kafkaSaslPassword.variables.find((name) => variables[name] !== undefined);
	if (password && !given.kafkaSaslUsername)
		contradiction(password, "environment", "kafka-sasl-username", "not given", "a password is somebody's");
}

function contradiction(one: string, from: Origin, other: string, otherFrom: Origin, why: string): never {
	throw new MycelogError(
		"config.contradiction",
		`${one} (${from}) and ${other} (${otherFrom}) exclude each other: ${why}`,
		{ options: [one, other], origins: [from, otherFrom] },
	);
}
