/** The cluster that is shipped as compose.yaml: three brokers, three nodes, one address for clients. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ROOT_TOKEN } from "../kit/node-process.ts";
import { RawClient } from "../kit/raw-client.ts";
import { startTopology, type Topology } from "../kit/topology.ts";

const START_MS_MAX = 900_000;
const TEST_MS_MAX = 180_000;
const CLIENTS = 6;
/** Between two tries of a client that comes back after a death, milliseconds. */
const RETRY_MS = 200;
/** Deaths are seen, leaders chosen and partitions taken over in a fraction of this, milliseconds. */
const BACK_MS_MAX = 120_000;

describe("three brokers and three nodes behind a balancer", () => {
	let topology: Topology;
	let workspace: string;
	let token: string;

	beforeAll(async () => {
		topology = await startTopology();
		const root = await RawClient.connect(topology.url, { clientId: "root", token: ROOT_TOKEN });
		workspace = `shipped-${randomBytes(4).toString("hex")}`;
		await root.manage("create_workspace", { id: workspace, name: workspace, persistent: true });
		token = (await root.manage("generate_token", { workspace, permission: "read_write" })) as string;
		await root.leave();
	}, START_MS_MAX);
	afterAll(() => topology?.remove());

	const connect = (clientId: string) => RawClient.connect(topology.url, { clientId, workspace, token });

	/** As published clients do: try again until the cluster has room for it. */
	const comeBack = async (clientId: string): Promise<RawClient> => {
		const started = performance.now();
		for (;;) {
			const refused = await connect(clientId).catch((error: Error) => error);
			if (refused instanceof RawClient) return refused;
			if (performance.now() - started > BACK_MS_MAX) {
				const nodes = topology.outputs().join("\n\n");
				throw new Error(`${clientId} was not let in within ${BACK_MS_MAX} ms: ${refused}\n${nodes}`);
			}
			await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
		}
	};

	const callsAmong = async (clients: readonly RawClient[]): Promise<void> => {
		for (const client of clients) await client.serve("name", () => client.peer);
		const answers = await Promise.all(
			clients.flatMap((from) =>
				clients.map((to) => from.call(to.peer.split("/")[1] as string, "services.name.get", [])),
			),
		);
		expect(answers).toEqual(clients.flatMap(() => clients.map(({ peer }) => peer)));
	};

	test(
		"scenario 59: every client is answered by every other, whichever nodes they were sent to",
		async () => {
			const clients = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => connect(`client-${i}`)));
			await callsAmong(clients);
			await Promise.all(clients.map((client) => client.leave()));
		},
		TEST_MS_MAX,
	);

	test(
		"one node and one broker die; clients that come to the same address are served as before",
		async () => {
			await Promise.all([topology.killNode(1), topology.killBroker(1)]);
			const clients = await Promise.all(Array.from({ length: CLIENTS }, (_, i) => comeBack(`again-${i}`)));
			await callsAmong(clients);
			await Promise.all(clients.map((client) => client.leave()));
		},
		TEST_MS_MAX,
	);
});
