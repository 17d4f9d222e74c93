/**
 * Messages in chunks: however they are cut, the gateway sees in them what their receiver will, and nothing that it
 * has not seen reaches the receiver.
 */
import { encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { beforeEach, describe, expect, test } from "vitest";
import { BUILT_IN_FACT } from "../../gateway/built-in-calls.ts";
import {
	CHUNKED_IDLE_MS_MAX,
	CHUNKED_PER_SENDER_MAX,
	CHUNKS_EARLY_BYTES_MAX,
	ChunkGuards,
} from "../../gateway/chunk-guard.ts";
import { ChunkScan } from "../../gateway/chunk-scan.ts";
import { readHead, skipValue } from "../../gateway/msgpack-skip.ts";
import { isForgeable, isServerType } from "../../gateway/reserved.ts";
import type { Message } from "../../runtime/message.ts";
import { frameBytes, readFrame } from "../kit/raw-client.ts";

/** Values as clients send them, with text and bytes long enough to be cut. */
const payload = fc.letrec((again) => ({
	value: fc.oneof(
		{ depthSize: "small" },
		fc.integer(),
		fc.double(),
		fc.boolean(),
		fc.constant(null),
		fc.string({ maxLength: 40 }),
		fc.uint8Array({ maxLength: 300 }),
		fc.array(again("value"), { maxLength: 5 }),
		fc.dictionary(fc.string({ maxLength: 8 }).filter(isPlainKey), again("value"), { maxKeys: 4 }),
	),
})).value;
const words = fc.constantFrom("method", "greeting", "client_disconnected", "force-exit");
const methods = fc.constantFrom("services.a.b", "services.built-in.message_cache.set", "S1.resolve");
const keys = fc.constantFrom("args", "promise", "t", "from", "ws", "ctx", "data");
const messages = fc.record({
	main: fc.record({ type: words, method: methods, data: payload, to: fc.string({ maxLength: 600 }) }),
	extra: fc.option(fc.dictionary(keys, payload, { maxKeys: 4 }), { nil: undefined }),
	cuts: fc.array(fc.nat(1_000), { maxLength: 12 }),
});

describe("a scanned message", () => {
	test("is judged by what it holds, wherever it is cut", () => {
		fc.assert(
			fc.property(messages, ({ main, extra, cuts }) => {
				const bytes = frameBytes(main, extra);
				const { main: read, extra: readExtra } = readFrame(bytes);
				const forbidden =
					isServerType(String(read["type"])) ||
					String(read["method"]).startsWith("services.built-in.message_cache.") ||
					Object.keys(readExtra).some(isForgeable);
				expect(scanned(bytes, cuts) !== undefined).toBe(forbidden);
			}),
			{ numRuns: 2_000 },
		);
	});

	test("is refused where it ends in its middle, unless it ends between its two maps", () => {
		const bytes = frameBytes(
			{ type: "a", to: "b", data: [1, { x: "y" }] },
			{ args: [new Uint8Array(20)], t: 1.5 },
		);
		const between = skipValue(bytes, 0);
		for (let end = 0; end < bytes.length; end++) {
			const problem = scanned(bytes.subarray(0, end), [end >> 1]);
			if (end === between) expect(problem).toBeUndefined();
			else expect(problem).toMatch(/ends in its middle/);
		}
		expect(scanned(Buffer.concat([bytes, encode({ from: "x" })]), [])).toMatch(/third segment/);
		expect(scanned(encode([1]), [])).toMatch(/no map/);
		expect(scanned(Buffer.concat([encode({ a: 1 }), Uint8Array.of(0x81, 0xc4, 1, 0x61, 1)]), [])).toMatch(
			/key/,
		);
	});

	test("never throws and never takes other bytes for a whole message than a decoder does", () => {
		fc.assert(
			fc.property(fc.uint8Array({ maxLength: 60 }), fc.array(fc.nat(60)), (bytes, cuts) => {
				const problem = scanned(bytes, cuts);
				const ends = [skipValue(bytes, 0)];
				if ((ends[0] as number) >= 0) ends.push(skipValue(bytes, ends[0] as number));
				if (problem === undefined) expect(ends).toContain(bytes.length);
			}),
			{ numRuns: 5_000 },
		);
	});

	test("heads of values say how many bytes and values follow", () => {
		fc.assert(
			fc.property(payload, (value) => {
				const bytes = encode(value);
				const head = { bytes: 0, payload: 0, values: 0 };
				expect(readHead(bytes, 0, head)).toBe(true);
				let end = head.bytes + head.payload;
				for (let i = 0; i < head.values; i++) end = skipValue(bytes, end);
				expect([end, skipValue(bytes, 0)]).toEqual([bytes.length, bytes.length]);
			}),
		);
	});
});

describe("a receiver's chunks", () => {
	const ALICE = "client/w/alice";
	const MALLORY = "client/w/mallory";
	const honest = frameBytes({ type: "method", method: "services.a.b" }, { args: [new Uint8Array(100)] });
	let now: number;
	let offset: number;
	let guards: ChunkGuards;

	beforeEach(() => {
		now = 0;
		offset = 0;
		guards = new ChunkGuards(() => now);
	});

	function message(from: string, name: string, args: readonly unknown[], at = offset++): Message {
		const main = { type: "method", to: "w/bob", method: `services.built-in.message_cache.${name}` };
		const body = frameBytes(main, { args, promise: "*" });
		return {
			to: "client/w/bob",
			from,
			type: "frame",
			body,
			offset: at,
			facts: { [BUILT_IN_FACT]: "1" },
		} as never;
	}
	const send = (from: string, name: string, ...args: unknown[]) => guards.check(message(from, name, args));
	const refusal = (from: string, name: string, ...args: unknown[]) => {
		const checked = send(from, name, ...args);
		return checked.ok ? "let through" : checked.reason;
	};

	test("a new message overwrites what an earlier connection left at the receiver", () => {
		const checked = send(ALICE, "create", "k", true);
		expect(checked.ok && readFrame(checked.bytes).extra["args"]).toEqual(["k", true, true]);
	});

	test("whole messages pass in any order, and their bytes are let go", () => {
		send(ALICE, "create", "k", false);
		for (const index of [2, 1, 0]) {
			expect(refusal(ALICE, "set", "k", index, honest.subarray(index * 50, (index + 1) * 50), false)).toBe(
				"let through",
			);
			expect(guards.earlyBytes).toBe(index === 0 ? 0 : (3 - index) * 50 - (150 - honest.length));
		}
		expect(refusal(ALICE, "process", "k", false)).toBe("let through");
	});

	test("what is delivered again after a cut passes again, from any point on", () => {
		const calls = [
			message(ALICE, "create", ["k", false]),
			message(ALICE, "set", ["k", 0, honest.subarray(0, 60)]),
			message(ALICE, "set", ["k", 1, honest.subarray(60)]),
			message(ALICE, "process", ["k"]),
		];
		for (const call of calls) expect(guards.check(call).ok).toBe(true);
		for (let from = 0; from < calls.length; from++) {
			for (const call of calls.slice(from)) expect(guards.check(call).ok).toBe(true);
		}
		expect(refusal(ALICE, "process", "k")).toMatch(/does not exist/);
	});

	test("a message belongs to its sender and its chunks are sent once", () => {
		send(ALICE, "create", "k", false);
		send(ALICE, "set", "k", 0, honest, false);
		expect(refusal(MALLORY, "create", "k", false)).toMatch(/under way/);
		for (const name of ["process", "remove"]) expect(refusal(MALLORY, name, "k")).toMatch(/does not exist/);
		expect(refusal(MALLORY, "set", "k", 1, honest)).toMatch(/does not exist/);
		expect(refusal(ALICE, "set", "k", 0, honest)).toMatch(/sent before/);
		expect(refusal(ALICE, "process", "k", false)).toBe("let through");
		expect(refusal(ALICE, "set", "k", 1, honest)).toMatch(/does not exist/);
	});

	test("a message with a missing chunk is not processed, nor is one that was refused", () => {
		send(ALICE, "create", "k", false);
		send(ALICE, "set", "k", 0, honest.subarray(0, 60), false);
		send(ALICE, "set", "k", 2, honest.subarray(60), false);
		expect(refusal(ALICE, "process", "k", false)).toMatch(/chunk 1 is missing/);
		send(ALICE, "remove", "k");
		send(ALICE, "create", "k", false);
		const forged = frameBytes({ type: "method" }, { from: "x" });
		expect(refusal(ALICE, "set", "k", 0, forged, false)).toMatch(/must not hold "from"/);
		expect(refusal(ALICE, "set", "k", 0, honest, false)).toMatch(/must not hold "from"/);
		expect(refusal(ALICE, "process", "k", false)).toMatch(/must not hold "from"/);
	});

	test("a sender's messages are bounded, and an idle one gives way", () => {
		for (let i = 0; i < CHUNKED_PER_SENDER_MAX; i++)
			expect(send(MALLORY, "create", `k${i}`, false).ok).toBe(true);
		expect(refusal(MALLORY, "create", "more", false)).toMatch(/too many/);
		expect(send(ALICE, "create", "k", false).ok).toBe(true);
		now += CHUNKED_IDLE_MS_MAX;
		expect(send(MALLORY, "create", "more", false).ok).toBe(true);
		expect(refusal(ALICE, "set", "k", 0, honest)).toMatch(/does not exist/);
	});

	test("chunks that come before their turn are bounded", () => {
		send(ALICE, "create", "k", false);
		const chunk = new Uint8Array(1024 * 1024);
		for (let index = 1; index * chunk.length <= CHUNKS_EARLY_BYTES_MAX; index++) {
			expect(send(ALICE, "set", "k", index, chunk, false).ok).toBe(true);
		}
		expect(guards.earlyBytes).toBe(CHUNKS_EARLY_BYTES_MAX);
		expect(refusal(ALICE, "set", "k", 1_000, chunk, false)).toMatch(/came before chunk 0/);
		expect(guards.earlyBytes).toBe(0);
	});

	test.each([
		["create", [7]],
		["create", ["k", false, true, "more"]],
		["set", ["k", -1, honest]],
		["set", ["k", 0.5, honest]],
		["set", ["k", true, honest]],
		["set", ["k", 0, "text"]],
		["set", ["k", 0, honest, false, { from: "x" }]],
		["process", ["k", false, { from: "x" }]],
		["append", ["k", honest]],
	])("a call no honest client makes is refused: %s %j", (name, args) => {
		send(ALICE, "create", "k", false);
		expect(refusal(ALICE, name, ...args)).toMatch(/Error: /);
	});

	test("a frame that calls no built-in service is not even looked at", () => {
		const body = Uint8Array.of(0xc1);
		expect(guards.check({ to: "client/w/bob", body, facts: {} } as never)).toEqual({ ok: true, bytes: body });
	});
});

function scanned(bytes: Uint8Array, cuts: readonly number[]): string | undefined {
	const scan = new ChunkScan();
	const at = [...new Set([0, ...cuts.map((cut) => Math.min(cut, bytes.length)), bytes.length])].sort(
		(a, b) => a - b,
	);
	for (let i = 1; i < at.length; i++) {
		const problem = scan.push(bytes.subarray(at[i - 1], at[i]));
		if (problem) return problem;
	}
	return scan.end();
}

/** The library that tests encode with leaves out what it refuses to decode. */
function isPlainKey(key: string): boolean {
	return key !== "__proto__";
}
