/**
 * The parts that every connection of this gateway shares. Owns only their shape; server.ts puts them together.
 */
import type { Limits } from "../actors/workspace-state.ts";
import type { Clock } from "../runtime/clock.ts";
import type { Logger } from "../runtime/logger.ts";
import type { Node } from "../runtime/node.ts";
import type { Admission } from "./admission.ts";
import type { Connection } from "./connection.ts";
import type { FrameTraces } from "./frame-traces.ts";
import type { GatewayMetrics } from "./metrics.ts";
import type { Outgoing } from "./outgoing.ts";
import type { Router } from "./router.ts";
import type { Tokens } from "./tokens.ts";

export interface GatewayParts {
	readonly node: Node;
	readonly tokens: Tokens;
	readonly router: Router;
	readonly outgoing: Outgoing;
	/** Undefined: nobody looks at traces. */
	readonly traces: FrameTraces | undefined;
	readonly metrics: GatewayMetrics;
	readonly clock: Clock;
	readonly logger: Logger;
	readonly options: GatewayOptions;
	readonly admission: Admission;
	/** Connections that have not been admitted yet. */
	readonly handshaking: Set<Connection>;
	/** Connections whose newest acknowledgement the client actor does not know yet. */
	readonly unreported: Set<Connection>;
}

export interface GatewayOptions {
	readonly host: string;
	/** 0: a free one. */
	readonly port: number;
	/** As clients reach this node or its load balancer; undefined: host and port. */
	readonly publicUrl: string | undefined;
	/** Path in front of every route, "" or "/prefix". */
	readonly basePath: string;
	/** Time without any sign of life (frames, pongs to automatic pings) until a socket is dropped. */
	readonly idleTimeoutMs: number;
	/** How long a cut client keeps its place, milliseconds. */
	readonly resumeWindowMs: number;
	/** Open sockets of this node; past it new ones are asked to come again. */
	readonly connectionsMax: number;
	/** Of the whole cluster; the actors count. */
	readonly limits: Limits;
	/** Binary frames a client may send, a second. */
	readonly messagesPerSecondMax: number;
	/** HTTP requests of one user, or of one address without a token, a second. */
	readonly httpRequestsPerSecondMax: number;
	/** Reverse proxies before this node, whose word about a client's address is taken. */
	readonly proxyHops: number;
	readonly version: string;
}

/** The manager's client id as clients see it: names no node, so it stays the same when nodes come and go. */
export const MANAGER_ID = "manager-mycelog";
