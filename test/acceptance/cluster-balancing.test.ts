/**
 * Which of several instances of a service a client gets, when instances and askers are connected to different nodes.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { useCluster } from "../kit/cluster.ts";
import type { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

/** Random draws: that one of three instances is never drawn has a chance below 1 in 10 million. */
const DRAWS = 40;
/** Calls that make an instance the busier one. */
const CALLS = 30;

const languages = ["python", "javascript"] as const;

describe("scenario 23: instances of a service on two nodes", () => {
	const nodes = useCluster(2);
	const clients = {} as Record<(typeof languages)[number], ClientProcess>;
	let team: TestWorkspace;
	/** Serves under the same name and never answers. */
	let mute: RawClient;

	beforeAll(async () => {
		const [a, b] = nodes.map(({ url }) => url) as [string, string];
		team = await makeWorkspace(nodes[0] as NodeProcess, "balance");
		const credentials = { workspace: team.id, token: team.token };
		clients.python = ClientProcess.python();
		clients.javascript = ClientProcess.javascript();
		await clients.python.connect("python", a, credentials);
		await clients.javascript.connect("javascript", b, credentials);
		await clients.python.run("register", { name: "python", id: "work", config: { weight: 5 } });
		await clients.javascript.run("register", { name: "javascript", id: "work", config: { weight: 2 } });
		mute = await RawClient.patiently(b, { clientId: "mute", ...credentials });
		for (const id of ["built-in", "work"]) {
			await mute.manage("register_service", { id: `${mute.peer}:${id}`, type: "x" });
		}
	});
	afterAll(async () => {
		for (const client of Object.values(clients)) await client.stop();
		await mute?.leave();
	});

	const client = (id: string) => id.slice(`${team.id}/`.length, -":work".length);

	describe.each(languages)("asked by a %s client", (asker) => {
		const info = async (config: object) => {
			const found = (await clients[asker].manage(asker, "get_service_info", "work", config)) as {
				id: string;
			};
			return client(found.id);
		};
		const find = async (options: object) => {
			const { id } = await clients[asker].run<{ id: string }>("find", { name: asker, id: "work", options });
			return client(id);
		};

		test("exact refuses to choose; first and last keep the order of coming", async () => {
			await expect(info({ mode: "exact" })).rejects.toThrow(/Multiple services found/);
			expect(await info({ mode: "first" })).toBe("python");
			expect(await info({ mode: "last" })).toBe("mute");
		});

		test("random takes each of them", async () => {
			const drawn = new Set<string>();
			for (let i = 0; i < DRAWS; i++) drawn.add(await info({ mode: "random" }));
			expect([...drawn].sort()).toEqual(["javascript", "mute", "python"]);
		});

		test("select compares what the instances say, and skips the one that does not answer in time", async () => {
			const started = performance.now();
			expect(await find({ mode: "select:min:weight", select_timeout: 0.5 })).toBe("javascript");
			expect(performance.now() - started).toBeLessThan(10_000);
			expect(await find({ mode: "select:max:weight", select_timeout: 0.5 })).toBe("python");
			expect(["javascript", "python"]).toContain(await find({ mode: "select:first_success:weight" }));
		});

		test("a function that no instance has leaves the choice to chance", async () => {
			const mode = "select:min:no_such_function";
			expect(["javascript", "mute", "python"]).toContain(await info({ mode, select_timeout: 0.5 }));
		});

		test("min_load takes the instance with the fewest calls in the last minute", async () => {
			// Both of the real ones are made busy, one more than the other, over either node.
			const busy = asker === "python" ? "javascript" : "python";
			for (const [target, count] of [
				[busy, 3 * CALLS],
				[asker, CALLS],
			] as const) {
				const id = `${target}:work`;
				await clients[asker].run("find", { name: asker, id });
				for (let i = 0; i < count; i++)
					expect(await clients[asker].call(asker, id, "add", [i, 1])).toBe(i + 1);
			}
			expect(await info({ mode: "min_load" })).toBe("mute");
		});
	});

	test("min_load knows the load of instances on other nodes, and skips one that is cut off", async () => {
		await mute.cut();
		// Wherever it is asked, the answer is the same: the number is where the calls go, not where the asker is.
		const raws = await Promise.all(
			nodes.map(({ url }, n) =>
				RawClient.patiently(url, { clientId: `asker-${n}`, workspace: team.id, token: team.token }),
			),
		);
		for (let i = 0; i < 10 * CALLS; i++)
			await raws[0]?.call(`${team.id}/python`, "services.work.add", [i, 1]);
		for (const raw of raws) {
			const started = performance.now();
			expect(await raw.manage("get_service_info", "work", { mode: "min_load" })).toMatchObject({
				id: `${team.id}/javascript:work`,
			});
			expect(performance.now() - started).toBeLessThan(1_500);
		}
		for (const raw of raws) await raw.leave();
	});
});
