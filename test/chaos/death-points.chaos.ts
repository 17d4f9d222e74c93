/** A node dies at each place in the handling of a command, with both ways on. */
import { describe, test } from "vitest";
import { anotherTakesOver, POINTS, startsAgain } from "../kit/death-points.ts";

const TEST_MS_MAX = 120_000;

describe.each(POINTS)("kill -9 at %s", (point) => {
	test(
		"another node takes over, and the command is in the states exactly once",
		() => anotherTakesOver(point),
		TEST_MS_MAX,
	);
	test(
		"the node starts again on its own disk, and the command is in the states exactly once",
		() => startsAgain(point),
		TEST_MS_MAX,
	);
});
