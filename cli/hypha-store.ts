/**
 * What a running Hypha keeps in its Redis: workspaces, services of connected clients, revoked tokens. Owns the keys and
 * their forms (Hypha 0.21); writes nothing there. What becomes of it is hypha-plan.ts.
 */
import { createClient } from "@redis/client";
import { MycelogError } from "../persistence/errors.ts";
import type { ScanProgress } from "../runtime/operator.ts";
import { isRecord } from "../runtime/plain-data.ts";

/** Until the store has to answer, milliseconds. */
const CONNECT_MS_MAX = 10_000;
/** Keys asked for at a time: the store serves others meanwhile. */
const SCAN_COUNT = 500;
/** What Hypha writes for a missing value. */
const NULL = "__null__";

const WORKSPACES = "workspaces";
const SERVICES = "services:*";
const REVOKED = "revoked_token:";

export interface HyphaService {
	/** `workspace/client:service`. */
	readonly id: string;
	readonly record: Readonly<Record<string, unknown>>;
}

export interface HyphaStore {
	/** As it says; undefined: it says nothing. */
	readonly version: string | undefined;
	readonly workspaces: readonly Readonly<Record<string, unknown>>[];
	readonly services: readonly HyphaService[];
	readonly revokedTokens: readonly string[];
	/** Keys whose values could not be read. */
	readonly damaged: readonly string[];
}

/** Rejects with `import.source-unreachable`; the text never shows the address's password. */
export async function readHyphaStore(
	uri: string,
	onProgress: (progress: ScanProgress) => void,
): Promise<HyphaStore> {
	const client = newClient(uri);
	// Told by the call that failed.
	client.on("error", () => {});
	try {
		await client.connect();
		return await readAll(client, onProgress);
	} catch (cause) {
		const text = `Redis at ${withoutPassword(uri)}: ${(cause as Error).message}`;
		throw new MycelogError("import.source-unreachable", text, { redis: withoutPassword(uri) }, { cause });
	} finally {
		if (client.isOpen) client.destroy();
	}
}

type Client = ReturnType<typeof newClient>;

function newClient(url: string) {
	return createClient({ url, RESP: 2, socket: { connectTimeout: CONNECT_MS_MAX, reconnectStrategy: false } });
}

async function readAll(client: Client, onProgress: (progress: ScanProgress) => void): Promise<HyphaStore> {
	const damaged: string[] = [];
	const workspaces: Record<string, unknown>[] = [];
	for (const [id, text] of Object.entries(await client.hGetAll(WORKSPACES))) {
		const record = parsed(text);
		if (isRecord(record)) workspaces.push({ ...record, id });
		else damaged.push(`${WORKSPACES} ${id}`);
	}
	const total = await client.dbSize();
	const services = new Map<string, HyphaService>();
	const revoked = new Set<string>();
	let scanned = 0;
	// A scan may give a key twice.
	for await (const keys of client.scanIterator({ COUNT: SCAN_COUNT })) {
		for (const key of keys) {
			if (key.startsWith(REVOKED)) revoked.add(key.slice(REVOKED.length));
			if (key.startsWith(SERVICES.slice(0, -1))) {
				const service = serviceOf(await client.hGetAll(key));
				if (service) services.set(service.id, service);
				else damaged.push(key);
			}
			onProgress({ scanned: Math.min(++scanned, total), total });
		}
	}
	const version = (await client.get("hypha_version")) ?? undefined;
	return { version, workspaces, services: [...services.values()], revokedTokens: [...revoked], damaged };
}

/** Undefined: it went away meanwhile, or is no record. */
function serviceOf(fields: Readonly<Record<string, string>>): HyphaService | undefined {
	const { id } = fields;
	const config = parsed(fields["config"] ?? "");
	if (!id || !isRecord(config)) return undefined;
	const text = (name: string) => (fields[name] === NULL ? null : fields[name]);
	const value = (name: string) => {
		const given = text(name);
		return given === null || given === undefined ? null : (parsed(given) ?? given);
	};
	const record = {
		config,
		name: text("name"),
		type: text("type"),
		app_id: text("app_id"),
		description: value("description"),
		docs: value("docs"),
		service_schema: value("service_schema"),
	};
	return { id, record };
}

function parsed(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return undefined;
	}
}

function withoutPassword(uri: string): string {
	try {
		const url = new URL(uri);
		if (url.password) url.password = "…";
		return decodeURI(url.href);
	} catch {
		return "(no address)";
	}
}
