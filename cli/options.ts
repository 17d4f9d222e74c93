/**
 * The one table of options: names, units, defaults, meaning and validation. Help texts, environment variables,
 * the configuration file and the documentation page are derived from it. Which source wins is config.ts.
 */
import { LIMITS_DEFAULT } from "../actors/workspace-state.ts";
import { KAFKA_CLIENTS, type KafkaClient } from "../persistence/kafka-client-names.ts";
import { SESSION_MS_LEAST } from "../persistence/kafka-group.ts";
import { SASL_MECHANISMS, type SaslMechanism } from "../persistence/kafka-security.ts";
import * as values from "./option-values.ts";

/** Every option by its name. Units, defaults and meaning: OPTIONS, and docs/operating/configuration.md. */
export interface Config {
	readonly host: string;
	/** TCP port; 0: a free one. */
	readonly port: number;
	readonly publicUrl: string | undefined;
	readonly basePath: string;
	readonly dataDir: string;
	readonly durability: "power" | "process";
	readonly kafkaUri: readonly string[] | undefined;
	readonly kafkaClient: KafkaClient;
	readonly kafkaSaslMechanism: SaslMechanism | undefined;
	readonly kafkaSaslUsername: string | undefined;
	readonly kafkaSaslPasswordFile: string | undefined;
	readonly kafkaTls: "on" | "off";
	readonly kafkaTlsCaFile: string | undefined;
	readonly kafkaTlsCertFile: string | undefined;
	readonly kafkaTlsKeyFile: string | undefined;
	/** Copies of a topic. Undefined: 3, or as many as there are brokers. */
	readonly kafkaReplicationFactor: number | undefined;
	/** Copies that acknowledge a record. Undefined: one less than there are. */
	readonly kafkaMinInsyncReplicas: number | undefined;
	readonly prefix: string;
	readonly takeoverAfterMs: number;
	/** Nodes that keep the snapshots of a partition beside its owner. */
	readonly standbyReplicas: number;
	/** Of each mailbox topic; fixed when the log is first opened. */
	readonly partitions: number;
	readonly nodeId: string | undefined;
	readonly connectionsMax: number;
	readonly connectionsPerUserMax: number;
	readonly clientsPerWorkspaceMax: number;
	readonly messagesPerSecondMax: number;
	readonly httpRequestsPerSecondMax: number;
	/** Proxies in front, whose word for a client's address is taken. */
	readonly proxyHops: number;
	readonly issuer: string | undefined;
	readonly issuerAudience: string | undefined;
	readonly issuerJwksUri: string | undefined;
	readonly idleTimeoutMs: number;
	readonly resumeWindowMs: number;
	readonly clientsRetentionMs: number;
	readonly acceptLostRecords: "on" | "off";
	readonly shutdownDeadlineMs: number;
	readonly drainMs: number;
	readonly logLevel: (typeof values.LOG_LEVELS)[number];
	readonly logFormat: "pretty" | "json";
	readonly jwtSecretFile: string | undefined;
	readonly rootTokenFile: string | undefined;
}

export type OptionKey = keyof Config;

export interface OptionSpec<Value> {
	/** Placeholder of the value in help texts. */
	readonly placeholder: string;
	/** Unit or form of the value, for people. */
	readonly unit: string;
	readonly fallback: Value;
	/** How the default reads where `fallback` does not say it. */
	readonly fallbackText?: string;
	readonly description: string;
	/** Throws an Error that says which values are allowed. */
	readonly parse: (text: string) => Exclude<Value, undefined>;
}

export const OPTIONS: { readonly [Key in OptionKey]: OptionSpec<Config[Key]> } = {
	host: {
		placeholder: "address",
		unit: "IP address or name",
		fallback: "127.0.0.1",
		description: "Address to listen on; 0.0.0.0 for every interface.",
		parse: values.word,
	},
	port: {
		placeholder: "number",
		unit: "TCP port",
		fallback: 9527,
		description: "Port to listen on; 0 picks a free one.",
		parse: values.integer(0, 65_535),
	},
	publicUrl: {
		placeholder: "url",
		unit: "http or https URL",
		fallback: undefined,
		fallbackText: "host and port",
		description: "How clients reach this node or its load balancer.",
		parse: values.url,
	},
	basePath: {
		placeholder: "path",
		unit: 'path, "" or "/prefix"',
		fallback: "",
		fallbackText: "none",
		description: "Path in front of every route.",
		parse: values.basePath,
	},
	dataDir: {
		placeholder: "path",
		unit: "directory",
		fallback: "./mycelog-data",
		description: "Where the embedded log, snapshots, node id and generated secret lie.",
		parse: values.word,
	},
	durability: {
		placeholder: "level",
		unit: "power or process",
		fallback: "power",
		description:
			"What an accepted message survives in the embedded log: a power cut, or only the death of the process.",
		parse: values.oneOf("power", "process"),
	},
	kafkaUri: {
		placeholder: "host:port,…",
		unit: "comma-separated brokers",
		fallback: undefined,
		fallbackText: "none: embedded log",
		description: "Keep the log in Kafka; nodes with the same brokers and prefix form one cluster.",
		parse: values.brokers,
	},
	kafkaClient: {
		placeholder: "name",
		unit: KAFKA_CLIENTS.join(" or "),
		fallback: "kafkajs",
		description: "Client library that talks to the brokers; both keep the same promises.",
		parse: values.oneOf(...KAFKA_CLIENTS),
	},
	kafkaSaslMechanism: {
		placeholder: "name",
		unit: SASL_MECHANISMS.join(", "),
		fallback: undefined,
		fallbackText: "none: nobody logs in",
		description: "How this node logs in at the brokers.",
		parse: values.oneOf(...SASL_MECHANISMS),
	},
	kafkaSaslUsername: {
		placeholder: "name",
		unit: "text",
		fallback: undefined,
		fallbackText: "none",
		description: "As whom this node logs in at the brokers.",
		parse: values.word,
	},
	kafkaSaslPasswordFile: {
		placeholder: "path",
		unit: "file",
		fallback: undefined,
		fallbackText: "none",
		description: "File with the password this node logs in with.",
		parse: values.word,
	},
	kafkaTls: {
		placeholder: "on|off",
		unit: "on or off",
		fallback: "off",
		description: "Whether connections to the brokers use TLS.",
		parse: values.oneOf("on", "off"),
	},
	kafkaTlsCaFile: {
		placeholder: "path",
		unit: "PEM file",
		fallback: undefined,
		fallbackText: "the authorities Node trusts",
		description: "Certificates of the authorities that sign the brokers' certificates.",
		parse: values.word,
	},
	kafkaTlsCertFile: {
		placeholder: "path",
		unit: "PEM file",
		fallback: undefined,
		fallbackText: "none",
		description: "Certificate this node shows to the brokers.",
		parse: values.word,
	},
	kafkaTlsKeyFile: {
		placeholder: "path",
		unit: "PEM file",
		fallback: undefined,
		fallbackText: "none",
		description: "Private key of that certificate.",
		parse: values.word,
	},
	kafkaReplicationFactor: {
		placeholder: "number",
		unit: "copies",
		fallback: undefined,
		fallbackText: "3, or as many as there are brokers; fewer are warned of",
		description: "Least number of copies of each topic; a node refuses to start with fewer.",
		parse: values.integer(1, values.LIMITS.replicas),
	},
	kafkaMinInsyncReplicas: {
		placeholder: "number",
		unit: "copies",
		fallback: undefined,
		fallbackText: "one less than there are copies, at least 1; fewer are warned of",
		description: "Least number of copies that acknowledge a message; a node refuses to start with fewer.",
		parse: values.integer(1, values.LIMITS.replicas),
	},
	prefix: {
		placeholder: "name",
		unit: "letters, digits, . _ -",
		fallback: "mycelog",
		description: "First part of the names of the Kafka topics and of the consumer group.",
		parse: values.topicName,
	},
	takeoverAfterMs: {
		placeholder: "ms",
		unit: "milliseconds",
		fallback: SESSION_MS_LEAST,
		description:
			"Kafka only: without a sign of life for so long, a node loses its partitions to the others. Below 6000, the least that brokers allow for sessions, nodes watch each other. The same at every node.",
		parse: values.integer(500, 300_000),
	},
	standbyReplicas: {
		placeholder: "n",
		unit: "nodes",
		fallback: 0,
		description:
			"Kafka only: how many nodes keep each partition's snapshots up to date beside its owner, so that they can take it over at once.",
		parse: values.integer(0, 100),
	},
	partitions: {
		placeholder: "number",
		unit: "partitions",
		fallback: 64,
		description: "Partitions of the mailboxes; fixed when a log is first opened.",
		parse: values.integer(1, values.LIMITS.partitions),
	},
	nodeId: {
		placeholder: "name",
		unit: "letters, digits, . _ -",
		fallback: undefined,
		fallbackText: "generated once, kept in the data directory",
		description: "Name of this node, unique in the cluster and stable over restarts.",
		parse: values.topicName,
	},
	connectionsMax: {
		placeholder: "number",
		unit: "connections",
		fallback: 20_000,
		description: "Most WebSocket connections at a time; further clients are asked to come again (503).",
		parse: values.integer(1, 1_000_000),
	},
	connectionsPerUserMax: {
		placeholder: "number",
		unit: "connections",
		fallback: LIMITS_DEFAULT.connectionsPerUser,
		description:
			"Most clients of one user at a time, over all workspaces and nodes; tokens the user made count with it.",
		parse: values.integer(1, 10_000),
	},
	clientsPerWorkspaceMax: {
		placeholder: "number",
		unit: "clients",
		fallback: LIMITS_DEFAULT.clientsPerWorkspace,
		description: "Most clients of one workspace at a time, over all nodes.",
		parse: values.integer(1, 100_000),
	},
	messagesPerSecondMax: {
		placeholder: "number",
		unit: "messages a second",
		fallback: 20_000,
		description:
			"Messages one client may send a second, ten times that in a burst; what is above is refused.",
		parse: values.integer(1, 1_000_000),
	},
	httpRequestsPerSecondMax: {
		placeholder: "number",
		unit: "requests a second",
		fallback: 1_000,
		description:
			"HTTP requests that one user, or one address without a token, may make of a node a second, ten times that in a burst; what is above is answered 429.",
		parse: values.integer(1, 1_000_000),
	},
	proxyHops: {
		placeholder: "number",
		unit: "proxies",
		fallback: 0,
		description:
			"Reverse proxies that requests pass before this node. So many entries at the end of X-Forwarded-For are believed; with 0 none is, and limits by address count the socket's other end.",
		parse: values.integer(0, 10),
	},
	issuer: {
		placeholder: "text",
		unit: "`iss` of its tokens",
		fallback: undefined,
		fallbackText: "none: the server's own tokens only",
		description:
			"Whose tokens (RS256) are good beside the server's own. What they say about user, roles and scope is believed.",
		parse: values.word,
	},
	issuerAudience: {
		placeholder: "text",
		unit: "`aud` of its tokens",
		fallback: undefined,
		fallbackText: "none",
		description: "For whom that issuer's tokens must be.",
		parse: values.word,
	},
	issuerJwksUri: {
		placeholder: "url",
		unit: "http or https URL",
		fallback: undefined,
		fallbackText: "none",
		description: "Where that issuer publishes its keys (JWKS).",
		parse: values.url,
	},
	idleTimeoutMs: {
		placeholder: "ms",
		unit: "milliseconds",
		fallback: 120_000,
		description:
			"How long a socket may show no sign of life, not even to the pings the node sends, until it is dropped.",
		// The socket library's own range.
		parse: values.integer(8_000, 960_000),
	},
	resumeWindowMs: {
		placeholder: "ms",
		unit: "milliseconds",
		fallback: 15_000,
		description: "How long a client that was cut off keeps its place and its messages.",
		parse: values.integer(0, values.LIMITS.delayMs),
	},
	clientsRetentionMs: {
		placeholder: "ms",
		unit: "milliseconds",
		fallback: 86_400_000,
		description: "How long messages to clients stay in the log. Workspaces are kept for ever.",
		parse: values.integer(60_000, Number.MAX_SAFE_INTEGER),
	},
	acceptLostRecords: {
		placeholder: "on|off",
		unit: "on or off",
		fallback: "off",
		description:
			"on: go on where the log has dropped records before any node folded them, with states that miss them, rather than refuse such a partition.",
		parse: values.oneOf("on", "off"),
	},
	shutdownDeadlineMs: {
		placeholder: "ms",
		unit: "milliseconds",
		fallback: 10_000,
		description: "Longest time a stopping node takes to hand over and store its state.",
		parse: values.integer(0, values.LIMITS.delayMs),
	},
	drainMs: {
		placeholder: "ms",
		unit: "milliseconds",
		fallback: 3_000,
		description:
			"Time over which a stopping node closes its sockets, so that clients do not all come back at once; at most half of what is left of the shutdown deadline.",
		parse: values.integer(0, values.LIMITS.delayMs),
	},
	logLevel: {
		placeholder: "level",
		unit: values.LOG_LEVELS.join(", "),
		fallback: "info",
		description: "Least severe message that is logged (to stderr).",
		parse: values.oneOf(...values.LOG_LEVELS),
	},
	logFormat: {
		placeholder: "form",
		unit: "pretty or json",
		fallback: "pretty",
		description: "Log lines for people or for programs.",
		parse: values.oneOf("pretty", "json"),
	},
	jwtSecretFile: {
		placeholder: "path",
		unit: "file",
		fallback: undefined,
		fallbackText: "generated once, kept in the data directory",
		description: "File with the secret that signs tokens; all nodes of a cluster need the same.",
		parse: values.word,
	},
	rootTokenFile: {
		placeholder: "path",
		unit: "file",
		fallback: undefined,
		fallbackText: "no root token",
		description: "File with a token that may do everything.",
		parse: values.word,
	},
};

export const OPTION_KEYS = Object.keys(OPTIONS) as OptionKey[];

/** Secrets come by environment or file only: arguments are visible to every user of a machine. */
export const SECRETS = {
	jwtSecret: { file: "jwtSecretFile", variables: ["MYCELOG_JWT_SECRET", "HYPHA_JWT_SECRET"] },
	kafkaSaslPassword: { file: "kafkaSaslPasswordFile", variables: ["MYCELOG_KAFKA_SASL_PASSWORD"] },
	rootToken: { file: "rootTokenFile", variables: ["MYCELOG_ROOT_TOKEN", "HYPHA_ROOT_TOKEN"] },
} as const satisfies Record<string, { file: OptionKey; variables: readonly string[] }>;

/** Of a node, for commands that ask it: see node-client.ts. */
export const OPERATOR_TOKEN_VARIABLE = "MYCELOG_OPERATOR_TOKEN";

/** Names the configuration file itself: by flag or environment only. */
export const CONFIG_FLAG = "config";
export const CONFIG_VARIABLE = "MYCELOG_CONFIG";

/** `dataDir` as a flag and in the file: `data-dir`. */
export function flagOf(key: string): string {
	return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** `dataDir` in the environment: `MYCELOG_DATA_DIR`. */
export function variableOf(key: string): string {
	return `MYCELOG_${flagOf(key).replaceAll("-", "_").toUpperCase()}`;
}

export function fallbackTextOf(key: OptionKey): string {
	const { fallback, fallbackText } = OPTIONS[key];
	return fallbackText ?? String(fallback);
}
