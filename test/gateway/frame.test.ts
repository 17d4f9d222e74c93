/** Claims of reading frames and of writing them with the gateway's word on who speaks. */
import { randomInt } from "node:crypto";
import { decodeMulti, encode } from "@msgpack/msgpack";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Frame, readFrame, stampedFrame, stampOf } from "../../gateway/frame.ts";
import { frameBytes } from "../kit/raw-client.ts";

const SEED = Number(process.env["SEED"] ?? randomInt(2 ** 31));
const USER = { id: "ann", roles: ["x"], scope: { workspaces: { "ws-a": "rw" } } };
const STAMP = stampOf("ws-a/ann", "ws-a", USER);

function read(bytes: Uint8Array): Frame {
	const result = readFrame(bytes);
	if (!result.ok) throw new Error(result.reason);
	return result.frame;
}

function reasonOf(bytes: Uint8Array): string {
	const result = readFrame(bytes);
	return result.ok ? "" : result.reason;
}

/** Both segments, as a receiver decodes them. */
function received(frame: Frame, to: string): unknown[] {
	return [...decodeMulti(stampedFrame(frame, to, STAMP))];
}

test("a receiver gets what the sender said, with the gateway's word on who speaks", () => {
	const main = {
		type: "method",
		from: "ws-z/eve",
		to: "bob",
		ctx: { user: 1 },
		method: "a.b",
		session: "s",
		x: [1],
	};
	const extra = { args: [1, "two"], t: 2.5 };
	const frame = read(frameBytes({ ...main, ws: "ws-z", user: { id: "root" } }, extra));
	const { from: _from, ctx: _ctx, ...said } = main;
	expect(received(frame, "ws-a/bob")).toEqual([
		{ ...said, to: "ws-a/bob", from: "ws-a/ann", ws: "ws-a", user: USER },
		extra,
	]);
	expect(frame).toMatchObject({ main, timeoutMs: 5_000, forged: undefined });
});

test(`whatever main and extra hold: the gateway's words stand, the rest is as it was (seed ${SEED})`, () => {
	const keys = fc.oneof(
		fc.constantFrom("type", "from", "to", "ws", "user", "ctx", "method", "session", "parent", "args"),
		fc.string({ minLength: 1, maxLength: 40 }).filter((key) => key !== "__proto__"),
	);
	// A key that decoders refuse is refused here too, wherever it stands.
	const json = fc.jsonValue().filter((value) => !JSON.stringify(value).includes("__proto__"));
	const values = fc.oneof(json, fc.uint8Array(), fc.string({ minLength: 200, maxLength: 400 }));
	const maps = fc.dictionary(keys, values, { maxKeys: 40, noNullPrototype: true });
	fc.assert(
		fc.property(maps, fc.option(maps), fc.string(), (main, extra, to) => {
			const frame = read(frameBytes(main, extra ?? undefined));
			const { ctx: _, ...said } = main;
			const wanted = { ...said, to, from: "ws-a/ann", ws: "ws-a", user: USER };
			const [first, second] = received(frame, to);
			expect(encodedSorted(first)).toEqual(encodedSorted(wanted));
			expect(encodedSorted(second ?? null)).toEqual(encodedSorted(extra));
		}),
		{ seed: SEED, numRuns: 500 },
	);
});

function encodedSorted(value: unknown): Buffer {
	return Buffer.from(encode(value, { sortKeys: true }));
}

test("extra passes byte for byte, in whatever form of msgpack the sender chose", () => {
	// {"a": 1} with the longest heads there are.
	const extra = Buffer.from("df00000001db0000000161d30000000000000001", "hex");
	const bytes = Buffer.concat([encode({ type: "x", to: "b" }), extra]);
	expect(Buffer.from(stampedFrame(read(bytes), "b", STAMP)).subarray(-extra.length)).toEqual(extra);
});

test.each(["type", "from", "to", "ws", "user", "ctx", "method", "session", "parent"])(
	"%s in the second segment is told",
	(key) => {
		expect(read(frameBytes({ type: "x" }, { args: [], [key]: "forged" })).forged).toBe(key);
	},
);

test("a key of the second segment that is not text is told", () => {
	const extra = Buffer.from("81c40166c0", "hex");
	expect(read(Buffer.concat([encode({ type: "x" }), extra])).forged).toBe("a key that is not text");
});

test.each([
	["nothing", "", /does not start with a map/],
	["a list", "91c0", /does not start with a map/],
	["a cut map", "82a16101", /is cut/],
	["a cut value", "81a161c4ff00", /ends inside/],
	["a number as a key", "8101c0", /not a short text/],
	["one key twice", "82a16101a16102", /"a" twice/],
	["a key that would be the map's prototype", "81a95f5f70726f746f5f5f80", /"__proto__"/],
	["a second segment that is no map", "80c0", /not a map/],
	["a cut second segment", "8081a161", /is cut/],
	["a third segment", "808080", /trailed/],
])("%s is refused with a reason", (_, hex, reason) => {
	expect(reasonOf(Buffer.from(hex, "hex"))).toMatch(reason);
});

test(`no bytes at all make reading a frame throw (seed ${SEED})`, () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
			expect(typeof readFrame(bytes).ok).toBe("boolean");
		}),
		{ seed: SEED, numRuns: 5_000 },
	);
});
