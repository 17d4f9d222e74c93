/** Claims of the envelope: what goes in comes out, and what cannot be read says why. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Draft, encodeBody, eventOf, messageOf, recordOf } from "../../runtime/message.ts";

const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 20 });
const optional = <T>(value: fc.Arbitrary<T>) => fc.option(value, { nil: undefined });

test("any message comes out of its record as it went in", () => {
	const drafts = fc.record({
		to: text,
		kind: fc.constantFrom("command", "query", "frame", "timer"),
		type: text,
		body: fc.uint8Array({ maxLength: 50 }),
		from: optional(text),
		replyTo: optional(fc.record({ node: text, ask: fc.stringMatching(/^\d{1,9}$/) })),
		expiresAt: optional(fc.integer({ min: 1 })),
		facts: fc.dictionary(
			text.filter((name) => !name.startsWith("~")),
			fc.string(),
		),
	});
	const origins = fc.record({ source: text, major: fc.nat(), minor: fc.nat() });
	fc.assert(
		fc.property(drafts, origins, fc.nat(), (draft, origin, offset) => {
			const record = { ...recordOf(draft as Draft, origin, 7), offset };
			const message = messageOf(record);
			if ("unreadable" in message) throw new Error(message.unreadable);
			const { to, kind, type, body, from, replyTo, expiresAt, facts } = message;
			expect({ to, kind, type, body, from, replyTo, expiresAt }).toEqual({ ...draft, facts: undefined });
			expect(facts).toMatchObject({ ...draft.facts });
			expect([message.origin, message.offset, message.timestamp]).toEqual([origin, offset, 7]);
		}),
	);
});

test.each([
	[{ "~v": "2", "~k": "c" }, "a/b", "envelope version 2, this node reads 1"],
	[{ "~k": "c" }, "a/b", "envelope version missing"],
	[{ "~v": "1", "~k": "z" }, "a/b", "no known kind"],
	[{ "~v": "1", "~k": "c" }, "", "no address"],
])("a record with headers %j and key %j cannot be read: %s", (headers, key, why) => {
	const record = {
		key,
		headers: headers as Record<string, string>,
		value: new Uint8Array(),
		timestamp: 1,
		offset: 0,
	};
	expect(messageOf(record)).toEqual({ unreadable: expect.stringContaining(why) });
});

test("an event keeps its type whatever its body says, leaves out undefined fields, and must be a map", () => {
	const draft = { to: "a/b", kind: "command", type: "add" } as const;
	const event = (body: Uint8Array) => {
		const record = recordOf({ ...draft, body }, { source: "n~1", major: 1, minor: 0 }, 1);
		return eventOf(messageOf({ ...record, offset: 0 }) as Parameters<typeof eventOf>[0]);
	};
	expect(event(encodeBody({ type: "other", by: 1, none: undefined }))).toEqual({ type: "add", by: 1 });
	expect(event(new Uint8Array())).toEqual({ type: "add" });
	for (const body of [[0x93, 1, 2, 3], [0x01], [0xc0]]) {
		expect(() => event(Uint8Array.from(body))).toThrow("the body of add is not a map");
	}
});

test("bytes in an event are of one kind, whatever kind of bytes the log's driver gives: a fold says what the live actor said", () => {
	const body = encodeBody({ type: "add", data: Uint8Array.of(1, 2, 3) });
	const draft = { to: "a/b", kind: "command", type: "add" } as const;
	const [live, folded] = [body, Buffer.from(body)].map((given) => {
		const record = recordOf({ ...draft, body: given }, { source: "n~1", major: 1, minor: 0 }, 1);
		return eventOf(messageOf({ ...record, value: given, offset: 0 }) as Parameters<typeof eventOf>[0]);
	});
	expect(folded?.["data"]).not.toBeInstanceOf(Buffer);
	expect(JSON.stringify(folded)).toBe(JSON.stringify(live));
});
