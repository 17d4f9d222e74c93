/**
 * The small files of a data directory beside log and snapshots: the node's id and the generated token secret.
 * Owns their making (once) and their modes; knows no databases.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { MycelogError } from "../persistence/errors.ts";
import type { Config } from "./options.ts";
import { flagOf, OPTIONS, SECRETS } from "./options.ts";

const NODE_ID_FILE = "node-id";
const SECRET_FILE = "jwt-secret";
/** What a backup takes along: without them a restored node is another one, which refuses the tokens given out before. */
export const SMALL_FILES = [NODE_ID_FILE, SECRET_FILE] as const;
const SECRET_BYTES = 48;

/** What only the node knows. From the environment or files, or made at the first start; never in logs. */
export interface Secrets {
	readonly jwtSecret: string;
	/** It was made by this node and lies in its data directory: other nodes do not know it. */
	readonly jwtSecretIsLocal: boolean;
	readonly rootToken: string | undefined;
	readonly kafkaSaslPassword: string | undefined;
}

/** The configured id, or the one generated at this directory's first start. */
export function nodeIdOf(config: Config): string {
	if (config.nodeId !== undefined) return config.nodeId;
	const id = keptOnce(config.dataDir, NODE_ID_FILE, 0o644, () => `node-${randomBytes(4).toString("hex")}`);
	try {
		// It becomes part of topic names, and a file can hold anything.
		return OPTIONS.nodeId.parse(id);
	} catch (cause) {
		const path = join(config.dataDir, NODE_ID_FILE);
		const text = `${path} holds no node id: it must be ${(cause as Error).message}; restore or remove it`;
		throw new MycelogError("config.invalid-value", text, { path }, { cause });
	}
}

/** From environment or file, else generated and kept, so that tokens stay valid over restarts. */
export function secretsOf(config: Config, environment: Readonly<Partial<Record<string, string>>>): Secrets {
	const given = secretOf("jwtSecret", config, environment);
	const generated = () => randomBytes(SECRET_BYTES).toString("base64url");
	return {
		jwtSecret: given ?? keptOnce(config.dataDir, SECRET_FILE, 0o600, generated),
		jwtSecretIsLocal: given === undefined,
		rootToken: secretOf("rootToken", config, environment),
		kafkaSaslPassword: secretOf("kafkaSaslPassword", config, environment),
	};
}

/** From environment or file; undefined: it was not given. */
export function secretOf(
	name: keyof typeof SECRETS,
	config: Config,
	environment: Readonly<Partial<Record<string, string>>>,
): string | undefined {
	const { file, variables } = SECRETS[name];
	for (const variable of variables) if (environment[variable]) return environment[variable];
	const path = config[file];
	if (path === undefined) return undefined;
	let secret: string;
	try {
		secret = readFileSync(path, "utf8").trim();
	} catch (cause) {
		const text = `cannot read ${flagOf(file)} ${path}: ${(cause as Error).message}`;
		throw new MycelogError("config.invalid-value", text, { path }, { cause });
	}
	if (secret !== "") return secret;
	throw new MycelogError("config.invalid-value", `${flagOf(file)} ${path} is empty`, { path });
}

function keptOnce(directory: string, file: string, mode: number, make: () => string): string {
	const path = join(directory, file);
	try {
		const kept = readFileSync(path, "utf8").trim();
		if (kept !== "") return kept;
		throw new MycelogError("config.invalid-value", `${path} is empty: restore or remove it`, { path });
	} catch (error) {
		if (MycelogError.is(error)) throw error;
		if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw unusable(directory, path, error as Error);
	}
	const made = make();
	try {
		mkdirSync(directory, { recursive: true });
		// Never over an existing file: a second process that starts at the same moment keeps the first one's.
		writeFileSync(path, `${made}\n`, { mode, flag: "wx" });
	} catch (cause) {
		if ((cause as NodeJS.ErrnoException).code === "EEXIST") return keptOnce(directory, file, mode, make);
		throw unusable(directory, path, cause as Error);
	}
	return made;
}

function unusable(directory: string, path: string, cause: Error): MycelogError {
	const text = `cannot use the data directory ${directory}: ${cause.message}`;
	return new MycelogError("config.invalid-value", text, { path }, { cause });
}
