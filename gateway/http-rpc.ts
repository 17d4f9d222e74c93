/**
 * The HTTP transport of the clients (http.md §5): a GET as the way down, a POST for every frame up. Owns whose POSTs a
 * stream takes; what a frame may do, session and mailbox are those of every connection.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";
import { POSTED } from "../actors/client.ts";
import { clientIdProblem, workspaceIdProblem } from "../actors/service-id.ts";
import { userAddress } from "../actors/user.ts";
import { MycelogError } from "../persistence/errors.ts";
import type { Node } from "../runtime/node.ts";
import type { CallerLimits } from "./caller-limits.ts";
import type { Connection } from "./connection.ts";
import { readFrame } from "./frame.ts";
import type { GatewayParts } from "./gateway.ts";
import { hashOf } from "./handshake.ts";
import { tokenOf } from "./http-caller.ts";
import { type Exchange, HttpError } from "./http-exchange.ts";
import type { HttpRoutes } from "./http-routes.ts";
import { clientAddress } from "./identity.ts";
import type { Socket } from "./socket.ts";
import { cursorOf, StreamSocket } from "./stream-socket.ts";
import type { Tokens } from "./tokens.ts";

const PATH = "/rpc";
const SECRET_BYTES = 24;
const COOKIE_PREFIX = "stream-";
/** For the node that has the stream to take what another one was sent, milliseconds. */
const HAND_ON_MS_MAX = 10_000;
/** What a client says beside its frames. */
const CONTROL_TYPES = new Set(["ping", "refresh_token"]);

export interface HttpRpcParts {
	readonly node: Pick<Node, "expect" | "submit">;
	readonly tokens: Tokens;
	readonly clock: GatewayParts["clock"];
	readonly limits: CallerLimits;
	/** Why no new client is let in just now. */
	readonly refusal: () => string | undefined;
	readonly connect: (socket: Socket) => Connection;
	readonly disconnected: (connection: Connection, goodbye: boolean) => void;
}

/** An open stream, and what its client's POSTs must show. */
interface Stream {
	readonly connection: Connection;
	/** Digest of the token that opened it; undefined: none did. */
	readonly token: string | undefined;
	readonly cookie: { readonly name: string; readonly value: string };
	/** Where a client without a token was when it opened the stream. */
	readonly address: string;
	/** It keeps cookies, so that it has no other way any more. */
	keepsCookies: boolean;
}

/** Facts of a message: see shownBy. */
type Shown = Readonly<Record<string, string>> & { readonly token?: string };

interface Posted {
	readonly workspace: string;
	readonly client: string;
	readonly shown: Shown;
	readonly body: Uint8Array;
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
			summary: "A frame of a client whose stream is open",
			query,
			body: ["application/msgpack"],
			answers: {
				200: { means: "taken; the answer comes on the stream" },
				400: { means: "no such stream, or no frame" },
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
	const cookie = { name: `${COOKIE_PREFIX}${randomBytes(6).toString("hex")}`, value: randomSecret() };
	let stream: Stream | undefined;
	const socket = new StreamSocket(
		exchange,
		{
			opened() {
				const address = limits.addressOf(exchange);
				stream = {
					connection,
					token: token ? hashOf(token) : undefined,
					cookie,
					address,
					keepsCookies: false,
				};
				streams.set(connection.identity?.peer ?? "", stream);
				return { "set-cookie": `${cookie.name}=${cookie.value}; HttpOnly; SameSite=Strict` };
			},
			mistaken: () => limits.mistaken(exchange),
			posted: ({ facts = {}, body }) => stream !== undefined && receive(stream, facts, body),
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

async function take(
	exchange: Exchange,
	body: Buffer,
	streams: ReadonlyMap<string, Stream>,
	parts: HttpRpcParts,
): Promise<void> {
	const { limits } = parts;
	const read = readFrame(body);
	if (!read.ok) throw new HttpError(400, `Invalid request body: ${read.reason}`);
	const asked = new URLSearchParams(exchange.query);
	const [workspace, client] = [asked.get("workspace") ?? "", asked.get("client_id") ?? ""];
	const stream = streams.get(`${workspace}/${client}`);
	const shown = shownBy(exchange, limits);
	const taken = stream
		? receive(stream, shown, body)
		: await handOn(exchange, { workspace, client, shown, body }, parts);
	if (!taken) {
		limits.failed(exchange);
		throw new HttpError(403, `PermissionError: the stream of ${workspace}/${client} is somebody else's`);
	}
	exchange.send(200, "text/plain", "");
}

/** False: it is not the client that speaks. */
function receive(stream: Stream, shown: Shown, body: Uint8Array): boolean {
	if (!isOwner(stream, shown)) return false;
	const read = readFrame(body);
	const { type, to } = read.ok ? read.frame.main : {};
	if (to === undefined && CONTROL_TYPES.has(String(type))) stream.connection.text(JSON.stringify({ type }));
	else stream.connection.binary(body);
	return true;
}

/** To the node that has the stream, by the client's own mailbox; there it is looked at who speaks. */
async function handOn(exchange: Exchange, posted: Posted, parts: HttpRpcParts): Promise<boolean> {
	const { workspace, client, shown, body } = posted;
	const { node, tokens, limits, clock } = parts;
	const problem = clientIdProblem(client) ?? workspaceIdProblem(workspace, true);
	if (problem) throw new HttpError(400, problem);
	const token = tokenOf(exchange);
	// Nothing gets into the log for somebody whose token is no good.
	const user = token === undefined ? undefined : await tokens.parse(token).catch(() => undefined);
	if (token !== undefined && !user) return false;
	limits.request(exchange, user && userAddress(user));
	const { replyTo, result, forget } = node.expect(`POST of ${workspace}/${client}`, HAND_ON_MS_MAX);
	try {
		const expiresAt = clock.now() + HAND_ON_MS_MAX;
		const to = clientAddress(workspace, client);
		await node.submit({ to, kind: "frame", type: POSTED, body, facts: shown, replyTo, expiresAt });
	} catch (error) {
		forget();
		if (!MycelogError.is(error, "log.record-too-large")) throw error;
		throw new HttpError(413, "the frame is too large; send it in chunks");
	}
	const answer = await result;
	if (!answer.ok) throw new HttpError(400, `no stream of ${workspace}/${client} is open: ${answer.error}`);
	return answer.value === true;
}

/** What a request shows of who made it, in a form that opens nothing for those who read it in the log. */
function shownBy(exchange: Exchange, limits: CallerLimits): Shown {
	const token = tokenOf(exchange);
	const cookies = exchange.cookies().filter(([name]) => name.startsWith(COOKIE_PREFIX));
	return {
		...(token ? { token: hashOf(token) } : undefined),
		cookies: cookies.map(([name, value]) => `${name}=${hashOf(value)}`).join(" "),
		address: limits.addressOf(exchange),
	};
}

/**
 * A client shows with every POST what it showed when it opened the stream. One without a token shows its stream's cookie,
 * if it keeps cookies; where it does not, all there is to know it by is the place it comes from.
 */
function isOwner(stream: Stream, { token, cookies, address }: Shown): boolean {
	if (stream.token || token) return stream.token !== undefined && isEqual(token, stream.token);
	const { name, value } = stream.cookie;
	const cookie = (cookies ?? "").split(" ").find((pair) => pair.startsWith(`${name}=`));
	if (cookie !== undefined) {
		if (!isEqual(cookie, `${name}=${hashOf(value)}`)) return false;
		stream.keepsCookies = true;
		return true;
	}
	return !stream.keepsCookies && address === stream.address;
}

function isEqual(one: string | undefined, other: string): boolean {
	return (
		one !== undefined && one.length === other.length && timingSafeEqual(Buffer.from(one), Buffer.from(other))
	);
}

function randomSecret(): string {
	return randomBytes(SECRET_BYTES).toString("base64url");
}
