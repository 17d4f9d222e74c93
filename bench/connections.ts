/**
 * What an idle connection keeps resident, with its client actor, beside a bare socket of the same library.
 * Owns the two moments of looking; the sockets are this process' own.
 */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { rootUser, Tokens } from "../gateway/tokens.ts";
import type { Benchmark, Variant } from "./benchmark.ts";
import { LeanSocket } from "./lean-socket.ts";
import type { LoadParameters, LoadResult } from "./load.ts";
import { ROOT_TOKEN, residentKb, runJob, type Server, startMycelog, startServer } from "./processes.ts";

/** Open at the first look. */
const WARM_CONNECTIONS = 200;
const CONNECTIONS = 2_000;
const CONNECTIONS_QUICK = 500;
/** Calls before the first look, seconds: code is compiled, SQLite's page caches and V8's young space have grown. */
const CALLS_SECONDS = 4;
/** Clients of one workspace and connections of one user. */
const GROUP_CONNECTIONS = 100;
/** Handshakes under way at a time. */
const OPENING_MAX = 50;
/** Time for checkpoints and reports of acknowledgements, milliseconds. */
const SETTLE_MS = 4_000;
const COLLECTIONS = 8;

export const connections: Benchmark = {
	name: "connections",
	title: "Resident memory per idle connection",
	about:
		`VmRSS of the node, after ${CALLS_SECONDS} s of calls and compacting garbage collection, with ${WARM_CONNECTIONS} connections and with ` +
		`${CONNECTIONS.toLocaleString("en-US")} more, divided. ${GROUP_CONNECTIONS} clients a workspace; ` +
		"every client and workspace actor is in memory. The heap is the part of it that V8 reports as used.",
	async open({ directory, quick }) {
		const count = quick ? CONNECTIONS_QUICK : CONNECTIONS;
		const mycelog = () =>
			startMycelog(["--data-dir", mkdtempSync(join(directory, "connections-"))], { collectable: true });
		const bare = () => startServer("echo-server.ts", { collectable: true });
		return {
			variants: [
				variant("raw uWebSockets", bare, "echo", count, () => async () => {}),
				variant("embedded (power)", mycelog, "call", count, greeter),
			],
			close: async () => {},
		};
	},
};

type Greet = (socket: LeanSocket, index: number) => Promise<void>;

/**
 * Hypha's handshake. The first of every group comes without a token and so makes a workspace; the others show a token
 * for it, because the node bounds the clients of a workspace and the connections of a user.
 */
function greeter(): Greet {
	const tokens = new Tokens({ secret: ROOT_TOKEN, rootToken: undefined, now: Date.now });
	let token: Promise<string> | undefined;
	return async (socket, index) => {
		const name = `idle-client-${index}`;
		if (index % GROUP_CONNECTIONS !== 0) {
			await socket.hello(name, await token);
			return;
		}
		token = socket.hello(name).then(({ workspace }) =>
			tokens.issue(rootUser(), {
				workspace: { id: workspace, owners: [] },
				permission: "read_write",
				expiresInSeconds: 3_600,
				clientId: undefined,
				extraScopes: [],
			}),
		);
		await token;
	};
}

function variant(
	name: string,
	start: () => Promise<Server>,
	mode: LoadParameters["mode"],
	count: number,
	greeterOf: () => Greet,
): Variant {
	return {
		name,
		async measure() {
			const server = await start();
			const sockets: LeanSocket[] = [];
			const greet = greeterOf();
			try {
				await serveCalls(server, mode);
				await openMore(server, sockets, WARM_CONNECTIONS, greet);
				const before = await settled(server);
				await openMore(server, sockets, count, greet);
				const after = await settled(server);
				return [
					{ metric: "per connection", unit: "KB", value: (after.resident - before.resident) / count },
					{ metric: "heap per connection", unit: "KB", value: (after.heap - before.heap) / count },
					{ metric: "node before", unit: "KB", value: before.resident },
				];
			} finally {
				for (const socket of sockets) socket.close();
				await server.stop();
			}
		},
	};
}

async function serveCalls({ url }: Server, mode: LoadParameters["mode"]): Promise<void> {
	await runJob<LoadResult>("load.ts", {
		urls: [url],
		token: ROOT_TOKEN,
		mode,
		pairs: 1,
		inFlight: 64,
		warmSeconds: 0,
		seconds: CALLS_SECONDS,
		watch: [],
	} satisfies LoadParameters);
}

async function openMore(server: Server, sockets: LeanSocket[], count: number, greet: Greet): Promise<void> {
	const until = sockets.length + count;
	while (sockets.length < until) {
		const from = sockets.length;
		const size = Math.min(OPENING_MAX, until - from);
		const opened = Array.from({ length: size }, async (_, i) => {
			const socket = await LeanSocket.open(`${server.url}/ws`);
			await greet(socket, from + i);
			return socket;
		});
		sockets.push(...(await Promise.all(opened)));
	}
}

/** KB. */
async function settled(server: Server): Promise<{ resident: number; heap: number }> {
	await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
	// V8 drops the code of functions that have not run for some collections: what it still holds is no connection's.
	let heap = await server.collectGarbage();
	for (let i = 1; i < COLLECTIONS; i++) heap = await server.collectGarbage();
	return { heap, resident: residentKb(server.pid) };
}
