/** Ids that are long or odd, and arguments that are large: delivered whole or refused by rule, on the Kafka log. */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess, pattern } from "../kit/client-process.ts";
import { useCluster } from "../kit/cluster.ts";
import { kafkaNames } from "../kit/kafka-names.ts";
import type { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const LARGE_BYTES = 50_000_000;
/** What Kafka allows. */
const LEGAL_TOPIC = /^[a-zA-Z0-9._-]{1,249}$/;

describe("on two nodes", () => {
	const nodes = useCluster(2);
	const node = (n: number) => nodes[n] as NodeProcess;
	let team: TestWorkspace;

	const connect = (n: number, clientId: string) =>
		RawClient.patiently(node(n).url, { clientId, workspace: team.id, token: team.token });

	beforeAll(async () => {
		team = await makeWorkspace(node(0), "odd");
	});

	test("scenario 8: messages to ids with / : * . _, spaces and 200 characters are delivered or refused by rule, and topics stay as they were", async () => {
		const before = await kafkaNames(node(0));
		const sender = await connect(0, "sender");
		for (const id of ["a.b_c-d", "..", "_", "0".repeat(200)]) {
			const receiver = await connect(1, id);
			expect(receiver.info.client_id).toBe(id);
			await receiver.serve("echo", (_, [value]) => value);
			expect(await sender.call(`${team.id}/${id}`, "services.echo.say", [id])).toBe(id);
			await receiver.leave();
		}
		for (const id of ["a/b", "a:b", "a*", "*", "a b", "0".repeat(201), "ü", "a@b"]) {
			await expect(connect(1, id)).rejects.toThrow(/Invalid client_id/);
		}
		for (const to of ["a b", "a:b", "a/b/c", "ü", "0".repeat(201), `${team.id}/a*b`, "no such"]) {
			await expect(sender.call(to, "services.echo.say", [1])).rejects.toThrow(/Error|not connected/);
		}
		expect(await sender.manage("echo", "still there")).toBe("still there");
		const after = await kafkaNames(node(0));
		expect(after).toEqual(before);
		for (const topic of after.topics) expect(topic).toMatch(LEGAL_TOPIC);
		await sender.leave();
	});

	describe("a large argument", () => {
		let python: ClientProcess;
		let javascript: ClientProcess;

		beforeAll(async () => {
			python = ClientProcess.python();
			javascript = ClientProcess.javascript();
			await python.connect("provider", node(0).url, { workspace: team.id, token: team.token });
			const patient = { workspace: team.id, token: team.token, method_timeout: 120 };
			await javascript.connect("caller", node(1).url, patient);
			await python.run("register", { name: "provider", id: "large" });
			await javascript.run("find", { name: "caller", id: "large" });
		});
		afterAll(() => Promise.all([python?.stop(), javascript?.stop()]));

		test("scenario 11: 50 MB arrive in order and complete, from one node to another and back", async () => {
			const reversed = Uint8Array.from({ length: LARGE_BYTES }, (_, i) => i % 251).reverse();
			const answer = await javascript.call("caller", "large", "reverse", [pattern(LARGE_BYTES)]);
			expect(answer).toEqual({
				$sha256: createHash("sha256").update(reversed).digest("hex"),
				bytes: LARGE_BYTES,
			});
		}, 180_000);
	});
});
