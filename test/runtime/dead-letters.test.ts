/** Claims of dead letters that come in floods: what the log says of them. */
import { expect, test } from "vitest";
import { LETTER_LINES_A_SECOND_MAX } from "../../runtime/dead-letters.ts";
import { DEAD_LETTERS_TOPIC } from "../../runtime/topics.ts";
import { MemoryStage } from "../kit/memory-node.ts";

test("a flood of dead letters is parked whole, and told of in a bounded number of lines with the count of the others", async () => {
	const stage = new MemoryStage();
	const { node, logger } = await stage.start();
	const lines = () => logger.lines.filter(({ message }) => message === "record parked as a dead letter");
	const unreadable = { key: "", value: new Uint8Array([1]), headers: {}, timestamp: 0 };
	stage.storage.store(stage.actors, Array(1_000).fill(unreadable));
	await stage.time.advance(0);
	expect(node.metrics.deadLetters).toBe(1_000);
	expect(stage.storage.all({ topic: DEAD_LETTERS_TOPIC, partition: 0 })).toHaveLength(1_000);
	expect(lines()).toHaveLength(LETTER_LINES_A_SECOND_MAX);

	await stage.time.advance(1_000);
	stage.storage.store(stage.actors, [unreadable]);
	await stage.time.advance(0);
	expect(lines()).toHaveLength(LETTER_LINES_A_SECOND_MAX + 1);
	expect(lines().at(-1)?.fields).toMatchObject({ leftOut: 1_000 - LETTER_LINES_A_SECOND_MAX });
});
