/**
 * The last of the seed's tests for the server file under its name, with what it must show: one black-box suite, the same
 * clients and the same calls, on a real Hypha and on Mycelog; every difference is listed with its reason.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { CASES, makeWorld, outcomeOf } from "../kit/compatibility.ts";
import { INSTALL_MS_MAX, RealHypha } from "../kit/real-hypha.ts";

const CLIENTS = [
	{ name: "python", start: () => ClientProcess.python() },
	{ name: "javascript", start: () => ClientProcess.javascript() },
] as const;

describe.concurrent("test_kafka_vs_redis_server_compatibility, scenario 13", () => {
	let hypha: RealHypha;
	beforeAll(async () => {
		hypha = await RealHypha.start();
	}, 2 * INSTALL_MS_MAX);
	afterAll(() => hypha?.stop());

	test.each(CLIENTS)(
		"a real Hypha answers the $name client as Mycelog does, or the difference is listed",
		async ({ name, start }) => {
			const client = start();
			try {
				const world = await makeWorld(client, name, [hypha.url]);
				const unlisted: unknown[] = [];
				for (const each of CASES) {
					const outcome = await outcomeOf(each, world);
					const expected = each.hypha ? each.hypha.answers : each.expected;
					if (JSON.stringify(outcome) !== JSON.stringify(expected))
						unlisted.push({ method: each.name, outcome, expected });
				}
				expect(unlisted).toEqual([]);
			} finally {
				await client.stop();
			}
		},
		180_000,
	);
});
