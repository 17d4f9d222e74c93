/**
 * The seed's tests for the server file under their names, with what they must show: unmodified published clients. They
 * run on one node (server-file.test.ts) and on the cluster that the seed's multi-server tests have (servers.test.ts).
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import { bytes, ClientProcess, pattern } from "../kit/client-process.ts";
import type { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";

const LANGUAGES = ["python", "javascript"] as const;
/** Bytes of an argument that goes in many chunks. */
const LARGE_BYTES = 5 * 1024 * 1024;

/** Call where tests are described; the nodes are there when they run. */
export function serverFileTests(nodes: readonly NodeProcess[]): void {
	const node = (n: number) => nodes[n % nodes.length] as NodeProcess;
	let clients: Readonly<Record<(typeof LANGUAGES)[number], ClientProcess>>;
	let team: TestWorkspace;

	beforeAll(async () => {
		team = await makeWorkspace(node(0), "seed");
		clients = { python: ClientProcess.python(), javascript: ClientProcess.javascript() };
	});
	afterAll(async () => {
		for (const client of Object.values(clients ?? {})) await client.stop();
	});

	test.each(LANGUAGES)(
		"test_connect_to_kafka_server, %s: gets workspace, client id, manager id and public URL",
		async (language) => {
			const client = clients[language];
			const options = { workspace: team.id, token: team.token };
			const connected = await client.connect(`${language}-first`, node(1).url, options);
			expect(connected).toMatchObject({ workspace: team.id, client: `${language}-first` });
			const config = await client.run<Record<string, unknown>>("config", { name: `${language}-first` });
			expect(config).toMatchObject({
				workspace: team.id,
				client_id: `${language}-first`,
				manager_id: "manager-mycelog",
				public_base_url: node(1).url,
			});
			await client.connect(`${language}-second`, node(2).url, options);
		},
	);

	test.each(LANGUAGES)(
		"test_kafka_server_service_registration, %s: registers add-service, and add(3, 4) is 7",
		async (language) => {
			const client = clients[language];
			const id = `add-service-${language}`;
			const full = `${team.id}/${language}-first:${id}`;
			expect(await client.run("register", { name: `${language}-first`, id })).toBe(full);
			expect(await client.run("find", { name: `${language}-second`, id })).toMatchObject({ id: full });
			expect(await client.call(`${language}-second`, id, "add", [3, 4])).toBe(7);
		},
	);

	test.each([
		{ caller: "python", provider: "javascript" },
		{ caller: "javascript", provider: "python" },
	] as const)(
		"test_kafka_server_multi_client_communication, scenario 9: $caller calls $provider: numbers, bytes, callbacks, generators, errors and large arguments",
		async ({ caller, provider }) => {
			const id = `add-service-${provider}`;
			const from = `${caller}-second`;
			const client = clients[caller];
			await client.run("find", { name: from, id });
			const call = (method: string, ...args: unknown[]) => client.call(from, id, method, args);
			expect(await call("math.twice", 21)).toBe(42);
			expect(await call("reverse", bytes(Uint8Array.of(1, 2, 3)))).toEqual(bytes(Uint8Array.of(3, 2, 1)));
			expect(await client.run("visit", { name: from, id, items: [1, 2] })).toEqual({
				result: [10, 20],
				seen: [1, 2],
			});
			expect(await client.run("drain", { name: from, id, upto: 5 })).toEqual([0, 1, 2, 3, 4]);
			await expect(call("fail", "bad 3")).rejects.toThrow("bad 3");
			const large = Uint8Array.from({ length: LARGE_BYTES }, (_, i) => i % 251).reverse();
			expect(await call("reverse", pattern(LARGE_BYTES))).toEqual({
				$sha256: createHash("sha256").update(large).digest("hex"),
				bytes: LARGE_BYTES,
			});
		},
	);
}
