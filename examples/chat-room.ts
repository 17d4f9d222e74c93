/**
 * A chat room on a page: what is said is a record in the room's mailbox, and the page goes on from the offset that it saw
 * last, so that a reload, a lost network or a restart of the server leaves out nothing and shows nothing twice.
 * Run it with `node examples/chat-room.ts` and open the address in two windows. The rooms stay in ./chat-room-data.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { pathToFileURL } from "node:url";
import { assign, emit, setup } from "xstate";
import { SqliteLog, SqliteSnapshots } from "../persistence/index.ts";
import {
	createNode,
	defineActor,
	durableActions,
	type EmbeddedNode,
	type EventMeta,
} from "../runtime/index.ts";

const PAGE = readFileSync(new URL("chat-room.html", import.meta.url));
/** Of one message as the page sends it. */
const BODY_BYTES_MAX = 8_192;
/** Pages that listen at once; one more is told to come back later. */
const LISTENERS_MAX = 1_000;
/** After which a page whose stream has ended asks again, milliseconds. */
const RETRY_MS = 500;

/** Keeps no messages: its history is the log. */
export const room = defineActor({
	type: "room",
	version: 1,
	machine: setup({
		types: {
			context: {} as { founded: number },
			events: {} as { type: "say"; who: string; text: string; meta: EventMeta },
			emitted: {} as { type: "said"; who: string; text: string; founded: number },
		},
		actions: durableActions,
	}).createMachine({
		context: { founded: 0 },
		on: {
			say: {
				actions: [
					assign({ founded: ({ context, event }) => context.founded || event.meta.timestamp }),
					emit(({ context, event: { who, text } }) => ({
						type: "said",
						who,
						text,
						founded: context.founded,
					})),
				],
			},
		},
	}),
});

type Rooms = EmbeddedNode<readonly [typeof room]>;

export interface Chat {
	readonly url: string;
	stop(): Promise<void>;
}

/** `port` 0: a free one. */
export async function serveChat({ directory, port }: { directory: string; port: number }): Promise<Chat> {
	const node = createNode({
		log: new SqliteLog({ directory }),
		snapshots: new SqliteSnapshots({ directory }),
		actors: [room],
		partitions: 8,
	});
	await node.start();
	const stopping = new AbortController();
	let listeners = 0;
	const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
		const { method, url = "/", headers } = request;
		const { pathname, searchParams } = new URL(url, "http://chat");
		const [, name] = /^\/rooms\/([a-z0-9-]{1,60})\/messages$/.exec(pathname) ?? [];
		if (pathname === "/") response.setHeader("content-type", "text/html; charset=utf-8").end(PAGE);
		else if (name === undefined) response.writeHead(404).end();
		else if (method === "POST") await say(node, name, request, response);
		else if (listeners === LISTENERS_MAX) response.writeHead(503, { "retry-after": "5" }).end();
		else {
			// A stream that broke off is asked for with what came last, a page that was loaded with what it has kept.
			const position = headers["last-event-id"]?.toString() ?? searchParams.get("after") ?? "";
			listeners++;
			await listen(node, name, position, response, stopping.signal).finally(() => listeners--);
		}
	};
	const server = createServer((request, response) => {
		answer(request, response).catch((error: Error) => {
			if (response.headersSent) response.destroy();
			else response.writeHead(stopping.signal.aborted ? 503 : 500).end(error.message);
		});
	});
	server.listen(port, "127.0.0.1");
	await once(server, "listening");
	return {
		url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
		async stop() {
			stopping.abort();
			const closed = once(server, "close");
			server.close();
			// A page whose request breaks off asks again.
			server.closeAllConnections();
			await closed;
			await node.stop();
		},
	};
}

/** Answered once it is in the log; the page's id makes a repeat count once. */
async function say(
	node: Rooms,
	name: string,
	request: IncomingMessage,
	response: ServerResponse,
): Promise<void> {
	// Who is asking is for a real service to find out: here everybody may be anybody.
	const { id, who, text } = await bodyOf(request);
	if (!isText(id) || !isText(who) || !isText(text)) {
		response.writeHead(400).end(`a message has id, who and text, in ${BODY_BYTES_MAX} bytes of JSON`);
		return;
	}
	await node.ref("room", name).tell({ type: "say", who, text }, { id });
	response.writeHead(202).end();
}

/** Server-sent events: everything behind the position, then what comes, until the page or the server goes. */
async function listen(
	node: Rooms,
	name: string,
	position: string,
	response: ServerResponse,
	stopping: AbortSignal,
): Promise<void> {
	const left = new AbortController();
	response.on("close", () => left.abort());
	const signal = AbortSignal.any([stopping, left.signal]);
	const ref = node.ref("room", name);
	response.writeHead(200, { "content-type": "text/event-stream", "cache-control": "no-store" });
	response.write(`retry: ${RETRY_MS}\n\n`);
	const [founded, seen] = position.split(":").map(Number);
	// An offset means something in its own log only: after that was removed, the page begins anew.
	const isOurs = position !== "" && (await ref.state({ signal })).context.founded === founded;
	if (position !== "" && !isOurs) response.write("event: anew\ndata:\n\n");
	const from = isOurs && seen !== undefined ? seen + 1 : 0;
	try {
		for await (const { offset, timestamp, event } of ref.emitted({ from, signal })) {
			const { who, text } = event;
			const data = JSON.stringify({ who, text, timestamp });
			// A page that reads slowly holds up its own loop: what it has not read stays in the log.
			const isFull = !response.write(`id: ${event["founded"]}:${offset}\ndata: ${data}\n\n`);
			if (isFull) await once(response, "drain", { signal });
		}
	} catch (error) {
		if (!signal.aborted) throw error;
		response.end();
	}
}

/** Empty where it is none, or too long. */
async function bodyOf(request: IncomingMessage): Promise<Readonly<Record<string, unknown>>> {
	const parts: Buffer[] = [];
	let bytes = 0;
	for await (const part of request) {
		bytes += part.length;
		if (bytes > BODY_BYTES_MAX) return {};
		parts.push(part);
	}
	try {
		return Object(JSON.parse(Buffer.concat(parts).toString()));
	} catch {
		return {};
	}
}

function isText(value: unknown): value is string {
	return typeof value === "string" && value !== "";
}

async function main(): Promise<void> {
	const chat = await serveChat({ directory: "./chat-room-data", port: Number(process.env["PORT"] ?? 8080) });
	console.log(`the chat room is open at ${chat.url}`);
	await once(process, "SIGINT");
	await chat.stop();
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) await main();
