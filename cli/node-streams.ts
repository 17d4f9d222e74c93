/**
 * Requests to a running node whose body or answer is long: both are passed on as they come. Owns the connection and when it
 * is given up; what an answer means is node-client.ts.
 */
import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";

/** A connection of which nothing is heard is looked at so often, milliseconds: the system asks the other end. */
const KEEP_ALIVE_MS = 30_000;

export interface LongRequest {
	readonly token: string;
	/** Sent as it is read. */
	readonly body?: Readable;
	/** The answer is given up after so long a silence, milliseconds. Default: never. */
	readonly silenceMs?: number;
}

/** The answer's head; its body is read by whoever asks. */
export async function longRequest(
	url: URL,
	{ token, body, silenceMs }: LongRequest,
): Promise<IncomingMessage> {
	const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>();
	const send = url.protocol === "https:" ? httpsRequest : httpRequest;
	const headers = {
		authorization: `Bearer ${token}`,
		...(body ? { "content-type": "application/x-ndjson" } : {}),
	};
	const request = send(url, { method: body ? "POST" : "GET", headers }, (response) => {
		if (silenceMs !== undefined) {
			response.setTimeout(silenceMs, () => response.destroy(new Error(`${silenceMs} ms of silence`)));
		}
		resolve(response);
	});
	request.on("socket", (socket) => socket.setKeepAlive(true, KEEP_ALIVE_MS));
	request.on("error", reject);
	if (body) {
		// An early answer says more than that the body was not taken to its end.
		pipeline(body, request).catch((error) => setImmediate(reject, error));
	} else request.end();
	return promise;
}

export async function textOf(response: IncomingMessage): Promise<string> {
	response.setEncoding("utf8");
	let text = "";
	for await (const piece of response) text += piece;
	return text;
}
