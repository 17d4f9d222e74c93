/**
 * Acceptance 4: a client that loses its network for three seconds loses no message.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { CutProxy } from "../kit/cut-proxy.ts";
import { makeWorkspace, onEachLog } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const NOTICES = 1_000;
/** After the outage the line delivers what came meanwhile at once. Milliseconds. */
const BURST_MS = 100;
/** Half of the outage the connection looks alive, half it is broken. Milliseconds. */
const HALF_OUTAGE_MS = 1_500;

const receivers = [
	{ language: "python", start: ClientProcess.python },
	{ language: "javascript", start: ClientProcess.javascript },
] as const;

onEachLog("a cut connection", (node) => {
	test.each(receivers)(
		"a $language client has all 1,000 notices, in order and once, after 3 s without network and on a line that delivers in bursts",
		async ({ language, start }) => {
			const team = await makeWorkspace(node(), `cut-${language}`);
			const credentials = { workspace: team.id, token: team.token };
			const network = await CutProxy.to(node().url);
			const receiver = start();
			await receiver.connect("receiver", network.url, credentials);
			await receiver.run("on", { name: "receiver", event: "notice" });
			const sender = await RawClient.connect(node().url, { clientId: "sender", ...credentials });

			// The node writes the first half into a socket that swallows it, the second half finds no socket.
			network.swallow();
			sendNotices(sender, "receiver", 0, NOTICES / 2);
			await sleep(HALF_OUTAGE_MS);
			await network.cut();
			sendNotices(sender, "receiver", NOTICES / 2, NOTICES);
			await sleep(HALF_OUTAGE_MS);
			await network.mend();
			network.deliverInBursts(BURST_MS);

			// One more: whatever was repeated would have come before it.
			await receiver.heard("receiver", "notice", NOTICES);
			sendNotices(sender, "receiver", NOTICES, NOTICES + 1);
			const heard = await receiver.heard("receiver", "notice", NOTICES + 1);
			expect(heard.map(({ data }) => data)).toEqual(numbers(0, NOTICES + 1));
			await sender.leave();
			await receiver.stop();
			await network.cut();
		},
	);

	test("exactly the window that was not acknowledged is repeated, then everything newer, in order", async () => {
		const team = await makeWorkspace(node(), "window");
		const credentials = { workspace: team.id, token: team.token };
		const sender = await RawClient.connect(node().url, { clientId: "sender", ...credentials });
		const before = await RawClient.connect(node().url, { clientId: "receiver", ...credentials });
		const isNotice = ({ main }: { main: Readonly<Record<string, unknown>> }) => main["type"] === "notice";

		sendNotices(sender, "receiver", 0, 300);
		await before.frames.atLeast(300, isNotice, "acknowledged notices");
		// One ping of the node is under way at a time: the first trip ends it, the second ends the one for the rest.
		await before.roundTrip();
		await before.roundTrip();
		before.answersPings = false;
		sendNotices(sender, "receiver", 300, 600);
		await before.frames.atLeast(600, isNotice, "received notices");
		await before.cut();
		sendNotices(sender, "receiver", 600, 1_000);

		const after = await RawClient.connect(node().url, {
			clientId: "receiver",
			reconnectionToken: before.info.reconnection_token,
		});
		sendNotices(sender, "receiver", 1_000, 1_001);
		await after.frames.first(({ main }) => main["data"] === 1_000, "the notice after the resume");
		expect(after.frames.all.filter(isNotice).map(({ main }) => main["data"])).toEqual(numbers(300, 1_001));
		await after.leave();
		await sender.leave();
	});
});

function sendNotices(sender: RawClient, to: string, from: number, before: number): void {
	for (let seq = from; seq < before; seq++) sender.send({ type: "notice", to, data: seq });
}

function numbers(from: number, before: number): number[] {
	return Array.from({ length: before - from }, (_, index) => from + index);
}
