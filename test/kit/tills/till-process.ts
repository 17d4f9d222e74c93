/**
 * A node with gateway and tills in a process of its own, as a server team would embed it. Owns the commands that
 * till-nodes.ts gives it.
 */
import { createMycelog } from "../../../cli/node.ts";
import type { till as mended } from "./mended.ts";
import type { TillAnswer, TillRequest, TillSetup } from "./till-nodes.ts";

const { options, actors } = JSON.parse(process.argv[2] as string) as TillSetup;
const { till } = (await import(actors)) as { till: typeof mended };
const node = await createMycelog(options, { actors: [till] });
process.once("disconnect", () => process.exit(1));
await node.start();
await node.ready();

async function answer(request: TillRequest): Promise<unknown> {
	switch (request.do) {
		case "tell":
			return Promise.all(request.events.map(([id, event]) => node.ref("till", id).tell(event)));
		case "totals":
			return Promise.all(request.ids.map(async (id) => (await node.ref("till", id).state()).context.total));
		case "stop":
			await node.stop();
			process.disconnect();
	}
	return undefined;
}

process.on("message", async ({ id, request }: { id: number; request: TillRequest }) => {
	const given: TillAnswer = await answer(request).then(
		(value) => ({ id, value }),
		(error) => ({ id, error: String(error) }),
	);
	if (process.connected) process.send?.(given);
});
process.send?.({ id: 0, value: node.url } satisfies TillAnswer);
