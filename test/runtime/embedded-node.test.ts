/** The runtime as embedders have it: tell, ask, state, history and follow, on every embedded log. */
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { IDS_REMEMBERED_MAX } from "../../runtime/answers.ts";
import { defineActor } from "../../runtime/define-actor.ts";
import { settled } from "../../testing/virtual-time.ts";
import { account, accountMachine } from "../kit/account.ts";
import { EMBEDDED_LOGS, EmbeddedStage, TimedStage } from "../kit/embedded.ts";

describe.each(EMBEDDED_LOGS)("an embedded node on the %s log", (driver) => {
	let stage: EmbeddedStage;
	beforeEach(() => {
		stage = new EmbeddedStage(driver);
	});
	afterEach(() => stage.remove());

	test("tells, asks and reads a state in mailbox order, and keeps it over a restart", async () => {
		const first = await stage.start([account]);
		const ann = first.ref("account", "ann");
		expect(await ann.state()).toEqual({
			value: "open",
			context: { balance: 0, entries: 0 },
			status: "active",
			tags: [],
		});
		await ann.tell({ type: "deposit", amount: 5 });
		expect(await ann.ask({ type: "deposit", amount: 7 })).toBe(12);
		await ann.tell({ type: "withdraw", amount: 2 });
		expect((await ann.state()).context).toEqual({ balance: 10, entries: 3 });
		await expect(ann.ask({ type: "withdraw", amount: 11 })).rejects.toThrow("not enough money");
		await first.stop();
		const second = await stage.start([account]);
		expect((await second.ref("account", "ann").state()).context.balance).toBe(10);
	});

	test("what one actor tells another arrives once", async () => {
		const node = await stage.start([account]);
		const [ann, ben] = [node.ref("account", "ann"), node.ref("account", "ben")];
		await ann.tell({ type: "deposit", amount: 10 });
		await ann.ask({ type: "transfer", to: "ben", amount: 4 });
		for await (const { event } of ben.emitted()) {
			expect(event).toEqual({ type: "changed", balance: 4 });
			break;
		}
		expect((await ann.state()).context.balance).toBe(6);
		expect((await ben.state()).context.balance).toBe(4);
	});

	test("a repeat under the same id has no effect and gets the first answer, after a restart too", async () => {
		const first = await stage.start([account]);
		const ann = first.ref("account", "ann");
		expect(await ann.ask({ type: "deposit", amount: 5 }, { id: "one" })).toBe(5);
		expect(await ann.ask({ type: "deposit", amount: 7 }, { id: "two" })).toBe(12);
		expect(await ann.ask({ type: "deposit", amount: 5 }, { id: "one" })).toBe(5);
		await ann.tell({ type: "deposit", amount: 5 }, { id: "one" });
		expect((await ann.state()).context).toEqual({ balance: 12, entries: 2 });
		await first.stop();
		const again = (await stage.start([account])).ref("account", "ann");
		expect(await again.ask({ type: "deposit", amount: 7 }, { id: "two" })).toBe(12);
		// A refusal is an answer too.
		for (let i = 0; i < 2; i++) {
			await expect(again.ask({ type: "withdraw", amount: 99 }, { id: "three" })).rejects.toThrow(
				"not enough",
			);
		}
		expect((await again.state()).context).toEqual({ balance: 12, entries: 2 });
	});

	test(`an actor remembers ${IDS_REMEMBERED_MAX} ids, the newest`, async () => {
		const ann = (await stage.start([account])).ref("account", "ann");
		const ids = Array.from({ length: IDS_REMEMBERED_MAX + 1 }, (_, i) => `id-${i}`);
		await Promise.all(ids.map((id) => ann.tell({ type: "deposit", amount: 1 }, { id })));
		await ann.tell({ type: "deposit", amount: 1 }, { id: ids.at(-1) as string });
		await ann.tell({ type: "deposit", amount: 1 }, { id: ids[1] as string });
		expect((await ann.state()).context.entries).toBe(ids.length);
		await ann.tell({ type: "deposit", amount: 1 }, { id: ids[0] as string });
		expect((await ann.state()).context.entries).toBe(ids.length + 1);
	});

	test("history is each message with what it did, between two offsets; follow goes on with new ones", async () => {
		const node = await stage.start([account]);
		const ann = node.ref("account", "ann");
		const offsets: number[] = [];
		for (const amount of [1, 2, 3]) offsets.push(await ann.tell({ type: "deposit", amount }));
		const seen = [];
		for await (const entry of ann.history({ from: offsets[1] as number, to: offsets[1] as number })) {
			seen.push(entry);
		}
		expect(seen).toMatchObject([
			{ offset: offsets[1], type: "deposit", outcome: "folded", state: "open", event: { amount: 2 } },
		]);
		const followed: number[] = [];
		for await (const { offset, effects } of ann.follow({ from: offsets[2] as number })) {
			followed.push(offset);
			expect(effects.map(({ type }) => type)).toContain("emit");
			if (followed.length === 3) break;
			offsets.push(await ann.tell({ type: "deposit", amount: 9 }));
		}
		expect(followed).toEqual(offsets.slice(2));
	});

	test("a signal ends every wait with its reason", async () => {
		const node = await stage.start([account]);
		const ann = node.ref("account", "ann");
		await ann.tell({ type: "deposit", amount: 1 });
		const reason = new Error("the caller has gone");
		const aborted = AbortSignal.abort(reason);
		await expect(ann.ask({ type: "deposit", amount: 1 }, { signal: aborted })).rejects.toBe(reason);
		await expect(ann.state({ signal: aborted })).rejects.toBe(reason);
		const controller = new AbortController();
		const followed = (async () => {
			for await (const _ of ann.follow({ signal: controller.signal })) controller.abort(reason);
		})();
		await expect(followed).rejects.toBe(reason);
	});

	test("a message past its expiry is refused before it is written", async () => {
		const ann = (await stage.start([account])).ref("account", "ann");
		const late = ann.tell({ type: "deposit", amount: 1 }, { expiry: Date.now() - 1 });
		await expect(late).rejects.toMatchObject({ code: "actor.expired" });
		await ann.tell({ type: "deposit", amount: 2 }, { expiry: Date.now() + 60_000 });
		expect((await ann.state()).context.balance).toBe(2);
	});

	test("an actor that has ended takes nothing any more and says so; its state can still be read", async () => {
		const ann = (await stage.start([account])).ref("account", "ann");
		await ann.tell({ type: "close" });
		await expect(ann.ask({ type: "deposit", amount: 1 })).rejects.toThrow("this account has ended");
		expect(await ann.state()).toMatchObject({ status: "done", value: "closed" });
	});

	test("names of the runtime's own events are no events of actors", async () => {
		const ann = (await stage.start([account])).ref("account", "ann");
		for (const type of ["mycelog.pause", "xstate.stop"]) {
			await expect(ann.tell({ type } as never)).rejects.toThrow(`${type} is no event for actors`);
		}
	});
});

describe("memory and snapshots, in virtual time:", () => {
	const quick = defineActor({ type: "account", version: 1, machine: accountMachine, passivateAfter: 5_000 });
	const eager = defineActor({ type: "account", version: 1, machine: accountMachine, snapshotEvery: 10 });

	test("an actor leaves memory after passivateAfter, and comes back with its state", async () => {
		const stage = new TimedStage();
		const { node } = await stage.start([quick]);
		const ann = node.ref("account", "ann");
		await ann.tell({ type: "deposit", amount: 1 });
		await stage.time.advance(4_000);
		expect(node.node.metrics.passivations).toBe(0);
		await stage.time.advance(2_000);
		expect(node.node.metrics).toMatchObject({ passivations: 1, activations: 1 });
		expect(await ann.ask({ type: "deposit", amount: 2 })).toBe(3);
		expect(node.node.metrics.activations).toBe(2);
	});

	test("an actor is stored after snapshotEvery messages at the latest", async () => {
		const stage = new TimedStage();
		const { node } = await stage.start([eager]);
		const ann = node.ref("account", "ann");
		for (let i = 0; i < 9; i++) await ann.tell({ type: "deposit", amount: 1 });
		await settled();
		expect(stage.disk.stored).toEqual([]);
		await ann.tell({ type: "deposit", amount: 1 });
		await settled();
		expect(stage.disk.stored).toEqual(["account/ann"]);
		expect(node.node.metrics.checkpoints).toBe(1);
		for (let i = 0; i < 10; i++) await ann.tell({ type: "deposit", amount: 1 });
		await settled();
		expect(node.node.metrics.checkpoints).toBe(2);
	});
});
