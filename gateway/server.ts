/**
 * The gateway on uWebSockets.js: listens, turns sockets into connections, drains on stop.
 * Owns the socket library's quirks and limits; the life of a connection is connection.ts.
 */

import type { TemplatedApp, us_listen_socket } from "uWebSockets.js";
import { randomBytes } from "node:crypto";
import { type AddressInfo, createServer } from "node:net";
import { MycelogError } from "../persistence/errors.ts";
import type { Address } from "../runtime/address.ts";
import { systemClock } from "../runtime/clock.ts";
import type { HistoryIndex } from "../runtime/history-index.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Event, Message } from "../runtime/message.ts";
import type { Node } from "../runtime/node.ts";
import type { LocalOutlets } from "../runtime/partition-effects.ts";
import { Admission } from "./admission.ts";
import { CallerLimits } from "./caller-limits.ts";
import { ChunkGuards } from "./chunk-guard.ts";
import { reportClient } from "./client-report.ts";
import { Connection, MARK_EVERY_MS } from "./connection.ts";
import { FrameTraces } from "./frame-traces.ts";
import type { GatewayOptions, GatewayParts } from "./gateway.ts";
import { MANAGER_ID } from "./gateway.ts";
import { addRoutes } from "./http.ts";
import type { ManagerContext } from "./manager.ts";
import { Manager, type ManagerParts } from "./manager-service.ts";
import { createMetrics, exportRuntime, type GatewayMetrics } from "./metrics.ts";
import { Outgoing } from "./outgoing.ts";
import { Router } from "./router.ts";
import { type Socket, UwsSocket } from "./socket.ts";
import type { Tokens } from "./tokens.ts";

/**
 * Largest frame the gateway reads, bytes (upstream's limit). What is larger than a record of the log may be is
 * refused with words after reading; a frame over this ends its connection, which the library does without any.
 */
const FRAME_BYTES_MAX = 16 * 1024 * 1024;
/** Sockets that have not been admitted yet; past it new ones are asked to come again. */
const HANDSHAKES_AT_ONCE_MAX = 500;
/** How often acknowledgements are told to the client actors, milliseconds. */
export const REPORT_EVERY_MS = 1_000;
/** Between two looks at which sockets are to be closed by now, milliseconds. */
const DRAIN_STEP_MS = 10;

/**
 * uWebSockets.js' default: the port may be shared, and taken again while connections of a killed process linger.
 * Its exclusive mode refuses both, so whether another process listens is asked beforehand (freePort).
 */
const LISTEN_SHARED_PORT = 0;

/** The form of `listen` with host and options, which the package's types leave out. */
type ListenOn = (
	host: string,
	port: number,
	options: number,
	done: (socket: us_listen_socket | false) => void,
) => void;

interface SocketData {
	readonly legacy: boolean;
	/** Where it is, as limits count it. */
	readonly address: string;
	connection?: Connection;
	socket?: UwsSocket<SocketData>;
}

type UwsModule = typeof import("uWebSockets.js");

/** The runtime's view of this gateway's sockets; made before the node, filled by the server. */
export class GatewayOutlets implements LocalOutlets {
	readonly connections = new Map<string, Connection>();
	/** Told of a client whose connection is asked after and is not here. */
	onGone: (client: Address, connection: string) => void = () => {};

	deliver(connection: string, message: Message): void {
		this.connections.get(connection)?.deliver(message);
	}

	signal(connection: string, signal: Event): void {
		const here = this.connections.get(connection);
		if (here) here.signal(signal);
		else if (signal.type === "probe") this.onGone(String(signal["address"]), connection);
	}
}

export interface GatewayServerParts {
	readonly node: Node;
	readonly outlets: GatewayOutlets;
	readonly tokens: Tokens;
	/** For operators' questions about histories. */
	readonly historyIndex: HistoryIndex;
	/** Where files lie while they arrive. */
	readonly dataDir: string;
	readonly logger: Logger;
	readonly options: GatewayOptions;
}

export class GatewayServer {
	readonly metrics: GatewayMetrics;
	readonly #parts: GatewayServerParts;
	readonly #shared: GatewayParts;
	readonly #uws: UwsModule;
	readonly #app: TemplatedApp;
	readonly #limits: CallerLimits;
	/** Takes what is not counted as it happens. */
	readonly #measure: () => void;
	#reporting: NodeJS.Timeout | undefined;
	#marking: Iterator<Connection>;
	#port = 0;
	#draining = false;

	private constructor(parts: GatewayServerParts, uws: UwsModule) {
		this.#parts = parts;
		this.#uws = uws;
		const clock = systemClock;
		const { node, logger, tokens } = parts;
		this.#marking = parts.outlets.connections.values();
		this.metrics = createMetrics();
		exportRuntime(this.metrics.registry, node);
		const { metrics } = this;
		const manager = new Manager({
			node,
			metrics,
			clock,
			logger,
			seal: (text) => tokens.seal(text),
			context: (caller, clients) => this.#context(caller, clients),
		});
		const traces = node.tracing && new FrameTraces(node.tracing);
		const router = new Router({ node, manager, metrics, traces, clock, logger });
		const guards = new ChunkGuards(() => clock.now());
		const outgoing = new Outgoing({
			node,
			guards,
			metrics,
			post: (to, frame) => manager.post(to, frame),
		});
		// What a connection told at its end lies before this in the mailbox.
		parts.outlets.onGone = (client, connection) =>
			reportClient(this.#shared, client, { type: "client.cut", connection, acked: -1 });
		this.#measure = () => {
			metrics.chunkBytes.set({ of: "clients" }, guards.earlyBytes);
			metrics.chunkBytes.set({ of: "manager" }, manager.chunkBytes);
		};
		const server = this;
		this.#shared = {
			node,
			tokens,
			router,
			outgoing,
			metrics,
			traces,
			clock,
			logger,
			admission: new Admission(),
			handshaking: new Set(),
			unreported: new Set(),
			get options() {
				return { ...parts.options, port: server.#port };
			},
		};
		this.#app = uws.App();
		const { basePath, version, httpRequestsPerSecondMax: requestsPerSecondMax, proxyHops } = parts.options;
		const limits = new CallerLimits({ requestsPerSecondMax, proxyHops }, metrics, () => clock.now());
		this.#limits = limits;
		this.#addWebSocket();
		addRoutes(this.#app, {
			...{ basePath, version, node, tokens, manager, metrics, limits },
			clock,
			historyIndex: parts.historyIndex,
			dataDir: parts.dataDir,
			url: () => this.url,
			draining: () => this.#draining,
			refusal: () => this.#refusal(),
			connect: (socket) => this.#connect(socket),
			disconnected: (connection, goodbye) => this.#disconnected(connection, goodbye),
		});
	}

	/** Rejects with `config.native-module-missing` where no uWebSockets.js fits this machine. */
	static async create(parts: GatewayServerParts): Promise<GatewayServer> {
		return new GatewayServer(parts, await loadUws());
	}

	get port(): number {
		return this.#port;
	}

	/** As clients reach it. */
	get url(): string {
		const { host, publicUrl, basePath } = this.#parts.options;
		return publicUrl ?? `http://${host}:${this.#port}${basePath}`;
	}

	async listen(): Promise<void> {
		const { host, port } = this.#parts.options;
		const free = await freePort(host, port);
		const listen = this.#app.listen.bind(this.#app) as unknown as ListenOn;
		const listening = await new Promise<us_listen_socket>((resolve, reject) => {
			listen(host, free, LISTEN_SHARED_PORT, (socket) => {
				if (socket) resolve(socket);
				else reject(cannotListen(host, free));
			});
		});
		this.#port = this.#uws.us_socket_local_port(listening);
		this.#reporting = setInterval(() => this.#report(), REPORT_EVERY_MS);
	}

	/** Not ready from now on, and no new clients; those that are here are served as before. */
	takeNoMore(): void {
		this.#draining = true;
	}

	/** Close all sockets with 1001, spread over `overMs` so that not all come back at once. Resolves when all are told. */
	async drain(overMs: number): Promise<void> {
		this.takeNoMore();
		const open = [...this.#parts.outlets.connections.values()];
		const since = performance.now();
		for (let told = 0; told < open.length; ) {
			const passed = overMs > 0 ? (performance.now() - since) / overMs : 1;
			const due = Math.min(open.length, Math.max(1, Math.ceil(open.length * passed)));
			for (; told < due; told++) open[told]?.shed("Server is shutting down");
			if (told < open.length) await new Promise((resolve) => setTimeout(resolve, DRAIN_STEP_MS));
		}
		await this.#report();
	}

	/** Stop listening and drop whatever is still open. */
	close(): void {
		clearInterval(this.#reporting);
		this.#app.close();
	}

	#addWebSocket(): void {
		this.#app.ws<SocketData>(`${this.#parts.options.basePath}/ws`, {
			maxPayloadLength: FRAME_BYTES_MAX,
			idleTimeout: Math.round(this.#parts.options.idleTimeoutMs / 1_000),
			sendPingsAutomatically: true,
			// The session bounds what waits in a socket; the library must not drop frames behind its back.
			maxBackpressure: 0,
			upgrade: (res, req, context) => {
				// 503 makes the clients wait and come again; an error text would make them give up.
				const reason = this.#refusal();
				if (reason) {
					this.metrics.refusedUpgrades.inc({ reason });
					res.writeStatus("503 Service Unavailable").end();
					return;
				}
				const peer = Buffer.from(res.getRemoteAddressAsText()).toString("latin1");
				const address = this.#limits.addressOf({ peer, header: (name) => req.getHeader(name) });
				const query = new URLSearchParams(req.getQuery());
				const legacy = ["workspace", "client_id", "token", "reconnection_token"].some((name) =>
					query.has(name),
				);
				res.upgrade(
					{ legacy, address },
					req.getHeader("sec-websocket-key"),
					req.getHeader("sec-websocket-protocol"),
					req.getHeader("sec-websocket-extensions"),
					context,
				);
			},
			open: (ws) => {
				if (ws.getUserData().legacy) {
					ws.end(1008, "Please upgrade hypha-rpc: connection parameters belong into the first frame");
					return;
				}
				const { address } = ws.getUserData();
				const socket = new UwsSocket(ws, () => this.#limits.failedAt(address) > 0);
				Object.assign(ws.getUserData(), { connection: this.#connect(socket), socket });
			},
			message: (ws, message, isBinary) => {
				const { connection } = ws.getUserData();
				// The library takes its buffer back after this call; frames live on until they are in the log.
				try {
					if (isBinary) connection?.binary(Buffer.from(message));
					else connection?.text(Buffer.from(message).toString("utf8"));
				} catch (err) {
					// A fault here is Mycelog's; it must not become everybody's because somebody found it.
					this.metrics.refusedFrames.inc({ reason: "fault" });
					this.#parts.logger.error({ err, connection: connection?.id }, "a message could not be handled");
				}
			},
			pong: (ws, message) => ws.getUserData().connection?.pong(Buffer.from(message).toString("latin1")),
			drain: (ws) => ws.getUserData().connection?.drain(),
			close: (ws, code) => {
				const { connection, socket } = ws.getUserData();
				socket?.ended();
				// 1006 is the library's word for an end without a close frame; 1009 is its own refusal.
				if (connection) this.#disconnected(connection, code !== 1006 && code !== 1009);
			},
		});
	}

	/** A connection on a new socket, whatever carries it. */
	#connect(socket: Socket): Connection {
		const { connections } = this.#parts.outlets;
		const connection = new Connection(randomBytes(12).toString("base64url"), socket, this.#shared);
		connections.set(connection.id, connection);
		this.metrics.connections.set(connections.size);
		return connection;
	}

	#disconnected(connection: Connection, goodbye: boolean): void {
		const { connections } = this.#parts.outlets;
		connections.delete(connection.id);
		this.metrics.connections.set(connections.size);
		connection.closed(goodbye);
	}

	/** Why no new client is let in just now, in a word for metrics. */
	#refusal(): string | undefined {
		const { node, outlets, options } = this.#parts;
		if (this.#draining) return "draining";
		if (!node.ready) return "not-ready";
		if (outlets.connections.size >= options.connectionsMax) return "connections";
		if (this.#shared.handshaking.size >= HANDSHAKES_AT_ONCE_MAX) return "handshakes";
		return undefined;
	}

	async #report(): Promise<void> {
		const { unreported } = this.#shared;
		this.#measure();
		const connections = [...unreported];
		unreported.clear();
		for (const connection of connections) connection.report();
		this.#mark();
	}

	/** Some of the connections each time, all within MARK_EVERY_MS. */
	#mark(): void {
		const { connections } = this.#parts.outlets;
		for (let due = (connections.size * REPORT_EVERY_MS) / MARK_EVERY_MS; due > Math.random(); due--) {
			const { done, value: connection } = this.#marking.next();
			if (done) this.#marking = connections.values();
			else connection.mark();
		}
	}

	#context(...[caller, clients]: Parameters<ManagerParts["context"]>): ManagerContext {
		const { node, tokens, options } = this.#parts;
		const { workspace, client, user } = caller;
		return {
			caller: { workspace, client, user },
			node: { ask: (...question) => node.ask(...question), names: () => node.nodes.ids },
			...clients,
			tokens,
			baseUrl: this.url,
			managerId: MANAGER_ID,
			random: Math.random,
			now: () => this.#shared.clock.now(),
			serverInfo: { hypha_version: options.version, public_base_url: this.url, local_base_url: this.url },
		};
	}
}

/**
 * The port, or any free one for 0. Node's own server asks, because it never shares a port; and the library must be
 * told a number, because only then the port can be had again at once after a crash.
 */
function freePort(host: string, port: number): Promise<number> {
	return new Promise((resolve, reject) => {
		const probe = createServer();
		probe.once("error", (cause) => reject(cannotListen(host, port, cause)));
		probe.listen(port, host, () => {
			const { port: found } = probe.address() as AddressInfo;
			probe.close(() => resolve(found));
		});
	});
}

function cannotListen(host: string, port: number, cause?: Error): MycelogError {
	const text = `cannot listen on ${host}:${port}${cause ? `: ${cause.message}` : ""}`;
	const { code } = (cause ?? {}) as NodeJS.ErrnoException;
	const inUse = code === undefined || code === "EADDRINUSE";
	return new MycelogError(
		inUse ? "gateway.port-in-use" : "config.invalid-value",
		text,
		{ host, port },
		{ cause },
	);
}

async function loadUws(): Promise<UwsModule> {
	try {
		return await import("uWebSockets.js");
	} catch (cause) {
		throw new MycelogError(
			"config.native-module-missing",
			`uWebSockets.js does not load on Node ${process.version} (${process.platform} ${process.arch}): ` +
				`${(cause as Error).message}. Use Node 22, or install a uWebSockets.js build for this Node version.`,
			{ module: "uWebSockets.js" },
			{ cause },
		);
	}
}
