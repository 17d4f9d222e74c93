/** The stream of an HTTP client, on an answer and a clock in the test's hands. */
import { decode, encode } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import { type Exchange, HttpError } from "../../gateway/http-exchange.ts";
import { CURSOR_AFTER_MS, cursorOf, STREAM_PING_MS, StreamSocket } from "../../gateway/stream-socket.ts";
import { VirtualTime } from "../../testing/virtual-time.ts";

const INFO = JSON.stringify({ type: "connection_info", reconnection_token: "jwt" });

function stage() {
	const clock = new VirtualTime();
	const heard: string[] = [];
	const pieces: Buffer[] = [];
	const state = {
		takes: true,
		writable: () => {},
		gone: () => {},
		failed: undefined as HttpError | undefined,
		tooOften: undefined as HttpError | undefined,
	};
	const exchange = {
		onGone: (gone: () => void) => {
			state.gone = gone;
		},
		pipe: (_: string, __: unknown, writable: () => void) => {
			state.writable = writable;
			return {
				write: (piece: Buffer) => pieces.push(piece) > 0 && state.takes,
				end: () => heard.push("end"),
			};
		},
		fail: (error: HttpError) => {
			state.failed = error;
		},
		destroy: () => heard.push("destroy"),
	};
	const owner = {
		opened: () => ({}),
		mistaken: () => state.tooOften,
		posted: () => false,
		alive: () => void heard.push("alive"),
		drained: () => void heard.push("drained"),
		closed: () => void heard.push("closed"),
	};
	const socket = new StreamSocket(exchange as unknown as Exchange, owner, clock);
	const messages = (): unknown[] => {
		const stream = Buffer.concat(pieces);
		const found: unknown[] = [];
		for (let at = 0; at < stream.length; at += 4 + stream.readUInt32BE(at)) {
			found.push(decode(stream.subarray(at + 4, at + 4 + stream.readUInt32BE(at))));
		}
		return found;
	};
	return { socket, clock, heard, state, messages };
}
const turn = () => new Promise((resolve) => setImmediate(resolve));
const frame = (seq: number) => encode({ type: "notice", seq });

describe("a stream to a client", () => {
	test("tells after frames what came before, once for many, and so that the client shows it when it comes again", async () => {
		const { socket, clock, messages } = stage();
		socket.sendText(INFO);
		for (let seq = 0; seq < 3; seq++) {
			socket.send(frame(seq));
			socket.ping(String(100 + seq));
		}
		await clock.advance(CURSOR_AFTER_MS);
		await turn();
		expect(messages().slice(-2)).toEqual([
			{ type: "notice", seq: 2 },
			{ type: "reconnection_token", reconnection_token: "jwt~102" },
		]);
		socket.sendText(JSON.stringify({ type: "reconnection_token", reconnection_token: "newer" }));
		await turn();
		expect(messages().at(-1)).toEqual({ type: "reconnection_token", reconnection_token: "newer~102" });
		expect(messages()).toHaveLength(6);
		expect(cursorOf("newer~102")).toEqual({ token: "newer", offset: 102 });
		expect(cursorOf("newer")).toEqual({ token: "newer", offset: undefined });
		expect(cursorOf(null)).toEqual({ token: null, offset: undefined });
	});

	test("is never silent for long", async () => {
		const { socket, clock, messages } = stage();
		socket.sendText(INFO);
		await clock.advance(3 * STREAM_PING_MS);
		await turn();
		await clock.advance(STREAM_PING_MS);
		await turn();
		expect(messages().at(-1)).toEqual({ type: "ping" });
	});

	test("holds what the network does not take, says how much, and goes on in order when it does", async () => {
		const { socket, heard, state, messages } = stage();
		socket.sendText(INFO);
		state.takes = false;
		socket.send(frame(0));
		await turn();
		socket.send(frame(1));
		socket.ping("");
		await turn();
		expect(messages()).toHaveLength(2);
		expect(socket.bufferedBytes()).toBeGreaterThan(frame(1).length);
		expect(heard).toEqual([]);
		state.takes = true;
		state.writable();
		expect(heard).toEqual(["alive", "drained"]);
		expect(socket.bufferedBytes()).toBe(0);
		const seqs = messages().map((message) => (message as { seq?: number }).seq);
		expect(seqs.filter((seq) => seq !== undefined)).toEqual([0, 1]);
	});

	test.each([
		["bad tokens", 1008, "no", 401],
		["a malformed greeting", 1003, "no", 400],
		["who may not join", 1001, "no", 403],
		["who should come again", 1013, "", 503],
		["who may come again", 1001, "", 503],
	])("that is not granted is a status: of %s", (_, code, error, status) => {
		const { socket, heard, state } = stage();
		if (error) socket.sendText(JSON.stringify({ type: "error", message: error }));
		socket.close(code, "reason");
		expect([state.failed?.status, state.failed?.message]).toEqual([status, error || "reason"]);
		expect(heard).toEqual(["closed"]);
	});

	test("that shows bad tokens too often is told only that", () => {
		const { socket, state } = stage();
		expect(socket.mistaken()).toBe(false);
		state.tooOften = new HttpError(429, "too often");
		expect(socket.mistaken()).toBe(true);
		socket.sendText(JSON.stringify({ type: "error", message: "no" }));
		socket.close(1008, "reason");
		expect(state.failed).toBe(state.tooOften);
	});

	test("that this side ends says why, and is closed once", async () => {
		const { socket, heard, state, messages } = stage();
		socket.sendText(INFO);
		await turn();
		socket.close(1008, "removed by an admin");
		state.gone();
		socket.close(1001, "again");
		expect(messages().at(-1)).toEqual({ type: "error", message: "removed by an admin" });
		expect(heard).toEqual(["end", "closed"]);
		expect(socket.send(frame(1))).toBe(false);
	});
});
