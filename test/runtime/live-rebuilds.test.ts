/** Requests to fold actors anew, whose answers come in an unlucky order. Whole nodes are in recovery-records.test.ts. */
import { expect, test } from "vitest";
import { Actor } from "../../runtime/actor.ts";
import { LiveRebuilds } from "../../runtime/live-rebuilds.ts";
import { type Draft, type Message, messageOf, recordOf } from "../../runtime/message.ts";
import { rebuildDraft, rebuiltDraft } from "../../runtime/recovery-records.ts";
import { MemoryLog } from "../../testing/memory-log.ts";
import { MemorySnapshots } from "../../testing/memory-snapshots.ts";
import { settled, VirtualTime } from "../../testing/virtual-time.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { message } from "../kit/messages.ts";
import { collectingLogger } from "../kit/runtime-node.ts";

const PARTITION = { topic: "actors", partition: 0 };
const WHY = { by: "test", why: "to be folded anew" };

function read(draft: Draft, offset: number): Message {
	const record = recordOf(draft, { source: "test", major: offset, minor: 0 }, 0);
	return messageOf({ ...record, offset }) as Message;
}

test("an actor that is folded along with another one's late answer is answered itself, too", async () => {
	const log = new MemoryLog({ clock: new VirtualTime() });
	await log.open([{ name: "actors", partitions: 1 }]);
	const mailbox = [
		message("counter/a", { type: "add", by: 1 }),
		message("counter/b", { type: "add", by: 2 }),
		read(rebuildDraft("counter/a", WHY), 2),
		read(rebuildDraft("counter/b", WHY), 3),
		// Of earlier owners, each of which answered the first request.
		read(rebuiltDraft("counter/a", { request: 2 }), 4),
		read(rebuiltDraft("counter/a", { request: 2 }), 5),
	];
	await log.append(
		PARTITION,
		mailbox.map(({ record }, i) => ({ ...record, headers: { ...record.headers, "~s": `test@${i + 1}.0` } })),
	);
	const answers: { draft: Draft; accept: (offset: number) => void }[] = [];
	const rebuilds = new LiveRebuilds(PARTITION, {
		log,
		snapshots: new MemorySnapshots().open(),
		behaviours: new Map([["counter", counterBehaviour]]),
		clock: new VirtualTime(),
		logger: collectingLogger(),
		append: (draft) => new Promise((accept) => answers.push({ draft, accept })),
		position: () => 6,
	});
	const a = Actor.fresh("counter/a", counterBehaviour);

	void rebuilds.request(mailbox[2] as Message);
	await settled();
	expect(answers.map(({ draft }) => draft.to)).toEqual(["counter/a"]);
	// Its own answer is still on its way while those of the earlier owners come.
	const done = rebuilds.request(mailbox[3] as Message);
	for (const rebuilt of mailbox.slice(4)) {
		expect((await rebuilds.due(a, rebuilt))?.offset).toBeGreaterThan(-1);
	}
	answers[0]?.accept(6);
	await settled();
	expect(answers.map(({ draft }) => draft.to)).toEqual(["counter/a", "counter/b"]);
	answers[1]?.accept(7);
	await done;
});
