/**
 * Frames that wait at the border between workspaces: their order, how long a verdict holds, what happens when nobody can
 * be asked.
 */
import { beforeEach, expect, test } from "vitest";
import type { User } from "../../actors/user.ts";
import { ACCESS_HOLDS_MS, Border, type BorderParts, NEIGHBOURS_MAX } from "../../gateway/border.ts";
import { Identity } from "../../gateway/identity.ts";

const CALL = { type: "method", method: "services.open.f" };
const CHUNK = { type: "method", method: "services.built-in.message_cache.set" };
const CALLBACK = { type: "method", method: "a-session.resolve" };

let now: number;
let questions: {
	readonly to: string;
	readonly type: string;
	answer: (value: unknown) => void;
	fail: () => void;
}[];
let told: [string, unknown][];
let border: Border;
let from: Identity;

beforeEach(() => {
	now = 0;
	questions = [];
	told = [];
	const node = {
		ask: (to: string, { type }: { type: string }) =>
			new Promise((answer, reject) => {
				questions.push({ to, type, answer, fail: () => reject(new Error("the log is away")) });
			}),
		tell: async (to: string, event: unknown) => told.push([to, event]),
	};
	const parts = { node, clock: { now: () => now }, logger: { debug: () => {} } };
	border = new Border(parts as unknown as BorderParts);
	from = new Identity("mine", "me", { id: "me" } as User);
});

const verdict = (main: object, client = "you") => border.verdict(from, "theirs", client, main as never);

/** Lets the frame that waits first ask its question, and answers it. */
async function answerNext(value: unknown): Promise<string> {
	while (questions.length === 0) await Promise.resolve();
	const { to, type, answer } = questions.shift() as (typeof questions)[0];
	answer(value);
	return `${type} to ${to}`;
}

test("frames to one client pass in the order in which they came, whatever the verdicts on them", async () => {
	const order: string[] = [];
	const note = (name: string, given: ReturnType<typeof verdict>) =>
		Promise.resolve(given).then((refusal) => order.push(`${name} ${refusal ? "refused" : "passes"}`));
	const all = [
		note("first", verdict({ type: "method", method: "services.secret.f" })),
		note("second", verdict(CALL)),
		note("third", verdict(CALLBACK)),
	];
	expect(await answerNext(false)).toBe("service.access to workspace/theirs");
	expect(await answerNext(true)).toBe("service.access to workspace/theirs");
	await Promise.all(all);
	expect(order).toEqual(["first refused", "second passes", "third passes"]);
	// Nothing waits any more: what is known passes at once.
	for (const known of [CALL, CHUNK, CALLBACK]) expect(verdict(known)).toBe(undefined);
});

test("a verdict holds for a while and is asked for again; that two have talked is not forgotten", async () => {
	const first = verdict(CALL);
	await answerNext(true);
	expect(await first).toBe(undefined);
	now += ACCESS_HOLDS_MS;
	const second = verdict(CALL);
	await answerNext(false);
	expect(await second).toMatch(/offers nothing/);
	expect(verdict(CALLBACK)).toBe(undefined);
});

test("methods of an object that was handed out pass between two that have talked, as callbacks do, and are no service to ask for", async () => {
	const handedOut = { type: "method", method: "services._rintf_abc.f" };
	const early = verdict(handedOut);
	expect(await answerNext(false)).toBe("client.hasMet to client/mine/me");
	expect(await early).toMatch(/offers nothing/);
	const first = verdict(CALL);
	await answerNext(true);
	await first;
	expect(verdict(handedOut)).toBe(undefined);
});

test("both actors are told of the first call, once", async () => {
	const first = verdict(CALL);
	await answerNext(true);
	await first;
	now += ACCESS_HOLDS_MS;
	const second = verdict(CALL);
	await answerNext(true);
	await second;
	expect(told).toEqual([
		["client/theirs/you", { type: "client.met", peer: "mine/me" }],
		["client/mine/me", { type: "client.met", peer: "theirs/you" }],
	]);
});

test("where nobody can be asked the frame fails, and the next one asks again", async () => {
	const first = verdict(CALL);
	while (questions.length === 0) await Promise.resolve();
	questions.shift()?.fail();
	await expect(first).rejects.toThrow("the log is away");
	const second = verdict(CALL);
	await answerNext(true);
	expect(await second).toBe(undefined);
});

test("a connection remembers a bounded number of clients, and never forgets one whose frames wait", async () => {
	const waiting = verdict(CALL, "waiting");
	for (let i = 0; i <= NEIGHBOURS_MAX; i++) {
		const asked = verdict(CALL, `client-${i}`);
		while (questions.length < 2) await Promise.resolve();
		questions.pop()?.answer(true);
		await asked;
	}
	expect(verdict(CALL, `client-${NEIGHBOURS_MAX}`)).toBe(undefined);
	const again = verdict(CALLBACK, "client-0");
	while (questions.length < 2) await Promise.resolve();
	expect(questions.at(-1)?.type).toBe("client.hasMet");
	questions.pop()?.answer(false);
	expect(await again).toMatch(/offers nothing/);
	const behind = verdict(CALLBACK, "waiting");
	await answerNext(true);
	expect(await waiting).toBe(undefined);
	expect(await behind).toBe(undefined);
});
