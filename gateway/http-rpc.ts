/**
 * The HTTP transport of the clients (http.md §5): a GET as the way down, a POST for every frame up. Owns whose POSTs a
 * stream takes; what a frame may do, session and mailbox are those of every connection.
 */
import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import type { Connection } from "./connection.ts";
import { readFrame } from "./frame.ts";
import type { GatewayParts } from "./gateway.ts";
import { tokenOf } from "./http-caller.ts";
import { type Exchange, HttpError } from "./http-exchange.ts";
import type { HttpLimits } from "./http-limits.ts";
import type { HttpRoutes } from "./http-routes.ts";
import type { Socket } from "./socket.ts";
import { cursorOf, StreamSocket } from "./stream-socket.ts";

const PATH = "/rpc";
const SECRET_BYTES = 24;
/** What a client says beside its frames. */
const CONTROL_TYPES = new Set(["ping", "refresh_token"]);

export interface HttpRpcParts {
	readonly clock: GatewayParts["clock"];
	readonly limits: HttpLimits;
	/** Why no new client is let in just now. */
	readonly refusal: () => string | undefined;
	readonly connect: (socket: Socket) => Connection;
	readonly disconnected: (connection: Connection, goodbye: boolean) => void;
}

/** An open stream, and what its client's POSTs must show. */
interface Stream {
	readonly connection: Connection;
	/** Of the token that opened it; undefined: none did. */
	readonly token: Buffer | undefined;
	readonly cookie: { readonly name: string; readonly value: string };
	/** Where a client without a token was when it opened the stream. */
	readonly address: string;
	/** It keeps cookies, so that it has no other way any more. */
	keepsCookies: boolean;
}

export function addRpcRoutes(routes: HttpRoutes, parts: HttpRpcParts): void {
	/** By `workspace/client`. */
	const streams = new Map<string, Stream>();
	const query = { client_id: "the client's own id", workspace: "the one to join, or that was joined" };
	routes.add({
		methods: ["get"],
		path: PATH,
		operation: {
			tag: "connection",
			summary:
				"Connect an RPC client: frames for it, each with its length in 4 bytes before it, until it goes",
			query: { ...query, reconnection_token: "from an earlier connection of this client" },
			answers: {
				200: { means: "connection_info, then frames", types: ["application/x-msgpack-stream"] },
				400: { means: "no client_id" },
				403: { means: "the client may not join" },
				503: { means: "come again later" },
			},
			token: true,
		},
		answer: (exchange) => open(exchange, streams, parts),
	});
	routes.add({
		methods: ["post"],
		path: PATH,
		operation: {
			tag: "connection",
			summary: "A frame of a client whose stream is open at this node",
			query,
			body: ["application/msgpack"],
			answers: {
				200: { means: "taken; the answer comes on the stream" },
				400: { means: "no such stream here, or no frame" },
				403: { means: "the stream is somebody else's" },
				413: { means: "the frame is too large" },
			},
			token: true,
		},
		answer: async (exchange, _, body) => take(exchange, await body, streams, parts),
	});
}

function open(exchange: Exchange, streams: Map<string, Stream>, parts: HttpRpcParts): void {
	const { limits, clock, connect, disconnected } = parts;
	if (parts.refusal()) throw new HttpError(503, "Server busy, please retry", { "retry-after": "1" });
	limits.request(exchange, undefined);
	const asked = new URLSearchParams(exchange.query);
	if (!asked.get("client_id")) throw new HttpError(400, "client_id is missing");
	const token = tokenOf(exchange);
	const cookie = { name: `stream-${randomBytes(6).toString("hex")}`, value: randomSecret() };
	let stream: Stream | undefined;
	const socket = new StreamSocket(
		exchange,
		{
			opened() {
				const address = limits.addressOf(exchange);
				stream = {
					connection,
					token: token ? digest(token) : undefined,
					cookie,
					address,
					keepsCookies: false,
				};
				streams.set(connection.identity?.peer ?? "", stream);
				return { "set-cookie": `${cookie.name}=${cookie.value}; HttpOnly; SameSite=Strict` };
			},
			refused(status) {
				if (status === 401) limits.failed(exchange);
			},
			alive: () => connection.pong(""),
			drained: () => connection.drain(),
			closed() {
				const peer = connection.identity?.peer ?? "";
				if (stream && streams.get(peer) === stream) streams.delete(peer);
				// Whether it meant to go or was cut, HTTP does not tell.
				disconnected(connection, false);
			},
		},
		clock,
	);
	const connection = connect(socket);
	const resumed = cursorOf(asked.get("reconnection_token"));
	const hello = {
		client_id: asked.get("client_id"),
		workspace: asked.get("workspace"),
		token: token ?? null,
		reconnection_token: resumed.token,
		offset: resumed.offset,
	};
	connection.text(JSON.stringify(hello));
}

function take(
	exchange: Exchange,
	body: Buffer,
	streams: ReadonlyMap<string, Stream>,
	{ limits }: HttpRpcParts,
): void {
	const asked = new URLSearchParams(exchange.query);
	const [workspace, client] = [asked.get("workspace"), asked.get("client_id")];
	const stream = streams.get(`${workspace}/${client}`);
	if (!stream) {
		limits.request(exchange, undefined);
		throw new HttpError(400, `no stream of ${workspace}/${client} is open at this node`);
	}
	if (!isOwner(exchange, stream, limits)) {
		limits.failed(exchange);
		throw new HttpError(403, `PermissionError: the stream of ${workspace}/${client} is somebody else's`);
	}
	const read = readFrame(body);
	if (!read.ok) throw new HttpError(400, `Invalid request body: ${read.reason}`);
	const { type, to } = read.frame.main;
	if (to === undefined && CONTROL_TYPES.has(String(type))) stream.connection.text(JSON.stringify({ type }));
	else stream.connection.binary(body);
	exchange.send(200, "text/plain", "");
}

/**
 * A client shows with every POST what it showed when it opened the stream. One without a token shows its stream's cookie,
 * if it keeps cookies; where it does not, all there is to know it by is the place it comes from.
 */
function isOwner(exchange: Exchange, stream: Stream, limits: HttpLimits): boolean {
	const shown = tokenOf(exchange);
	if (stream.token || shown) {
		return stream.token !== undefined && shown !== undefined && timingSafeEqual(digest(shown), stream.token);
	}
	const { name, value } = stream.cookie;
	const cookie = exchange.cookie(name);
	if (cookie !== undefined) {
		stream.keepsCookies = timingSafeEqual(digest(cookie), digest(value));
		return stream.keepsCookies;
	}
	return !stream.keepsCookies && limits.addressOf(exchange) === stream.address;
}

function digest(text: string): Buffer {
	return createHash("sha256").update(text).digest();
}

function randomSecret(): string {
	return randomBytes(SECRET_BYTES).toString("base64url");
}
