/**
 * The seed's five multi-server tests under their names, with what they must show: published clients, each sent to a node
 * of its own, over one log.
 */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { useCluster } from "../kit/cluster.ts";
import { askOperator, type HistoryLine, type ReplayLine } from "../kit/mycelog.ts";
import type { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";
import { serverFileTests } from "./server-file.ts";

const EVENTS = 50;
/** Calls and notices around the death of a node. */
const NOTICES = 300;
const KILL_AFTER = 100;

describe("test_kafka_servers", () => {
	const nodes = useCluster(3);
	const node = (n: number) => nodes[n] as NodeProcess;
	let python: ClientProcess;
	let javascript: ClientProcess;
	let team: TestWorkspace;
	let other: TestWorkspace;

	const inTeam = () => ({ workspace: team.id, token: team.token });
	/** Which node speaks for the client, as the log has it. */
	const nodeOf = async (peer: string) => {
		const { value } = await askOperator<ReplayLine>(node(2), "replay", `client/${peer}`);
		const { claim } = (value as { context: { claim: { outlet: { node: string } } } }).context;
		return claim.outlet.node.slice(0, claim.outlet.node.indexOf("~"));
	};

	beforeAll(async () => {
		team = await makeWorkspace(node(0), "seed");
		other = await makeWorkspace(node(1), "seed-other");
		python = ClientProcess.python();
		javascript = ClientProcess.javascript();
		await python.connect("provider", node(0).url, inTeam());
		await javascript.connect("caller", node(1).url, inTeam());
		await python.run("register", { name: "provider", id: "hello" });
	});
	afterAll(() => Promise.all([python?.stop(), javascript?.stop()]));

	describe("test_kafka_server, on three nodes", () => serverFileTests(nodes));

	test("test_kafka_server_communication: an unmodified client on one gateway calls a service whose client is on another, and both are known", async () => {
		const found = await javascript.run<{ id: string }>("find", { name: "caller", id: "hello" });
		expect(found.id).toBe(`${team.id}/provider:hello`);
		expect(await javascript.call("caller", "hello", "greet", ["Kafka"])).toBe("Hello Kafka!");
		const ids = await Promise.all([0, 1].map(async (n) => (await node(n).health()).detail["node"]));
		expect(await Promise.all(["provider", "caller"].map((name) => nodeOf(`${team.id}/${name}`)))).toEqual(
			ids,
		);
		expect(new Set(ids).size).toBe(2);
	});

	test(`test_kafka_event_communication: an event and a call from one gateway to another, ${EVENTS} events exactly once`, async () => {
		await javascript.manage("caller", "subscribe", "seed-event");
		await javascript.run("on", { name: "caller", event: "seed-event" });
		for (let n = 0; n < EVENTS; n++) {
			await python.run("emit", { name: "provider", message: { type: "seed-event", to: "*", data: n } });
		}
		await javascript.run("on", { name: "caller", event: "direct" });
		await python.run("emit", { name: "provider", message: { type: "direct", to: "caller", data: "end" } });
		await javascript.heard("caller", "direct", 1);
		const from = `${team.id}/provider`;
		expect(await javascript.heard("caller", "seed-event", EVENTS)).toEqual(
			Array.from({ length: EVENTS }, (_, data) => ({ data, from })),
		);
		expect(await javascript.call("caller", "hello", "add", [3, 4])).toBe(7);
	});

	test("test_kafka_workspace_isolation, scenario 25: a protected service is refused by its full id and a public one allowed; no record of the one workspace is in the other's log", async () => {
		const stranger = await RawClient.patiently(node(2).url, {
			clientId: "stranger",
			workspace: other.id,
			token: other.token,
		});
		await python.run("register", { name: "provider", id: "inner" });
		await python.run("register", { name: "provider", id: "outer", config: { visibility: "public" } });
		const inner = `${team.id}/provider:inner`;
		await expect(stranger.manage("get_service", inner)).rejects.toThrow(
			`PermissionError: Permission denied for non-public service in workspace ${team.id}`,
		);
		await expect(stranger.call(`${team.id}/provider`, "services.inner.add", [1, 2])).rejects.toThrow(
			/PermissionError/,
		);
		const listed = (await stranger.manage("list_services", team.id)) as { id: string }[];
		expect(listed.map(({ id }) => id)).not.toContain(inner);
		for (const [mailbox, foreign] of [
			[`client/${team.id}/provider`, other.id],
			[`workspace/${team.id}`, `client/${other.id}`],
			[`workspace/${other.id}`, `client/${team.id}`],
		] as const) {
			const lines = await askOperator<HistoryLine[]>(node(0), "history", mailbox, "--all");
			expect(lines.length).toBeGreaterThan(0);
			expect(lines.filter(({ from }) => from?.includes(foreign))).toEqual([]);
		}
		expect(await stranger.manage("get_service", `${team.id}/provider:outer`)).toMatchObject({
			id: `${team.id}/provider:outer`,
		});
		expect(await stranger.call(`${team.id}/provider`, "services.outer.add", [20, 22])).toBe(42);
		await stranger.leave();
	});

	test("test_kafka_server_scaling: every client calls every other's service, 36 of 36 answers name the right one", async () => {
		const clients: RawClient[] = [];
		for (let n = 0; n < 6; n++) {
			const client = await RawClient.patiently(node(n % 3).url, { clientId: `scale-${n}`, ...inTeam() });
			await client.serve("echo", (_, [asker]) => `${client.info.client_id} to ${asker}`);
			clients.push(client);
		}
		const names = clients.map(({ info }) => info.client_id);
		for (const caller of clients) {
			const asker = caller.info.client_id;
			const answers = names.map((name) => caller.call(name, "services.echo.say", [asker]));
			expect(await Promise.all(answers)).toEqual(names.map((name) => `${name} to ${asker}`));
		}
		for (const client of clients) await client.leave();
	});

	test(`test_kafka_message_delivery_guarantee: a node dies by kill -9 among ${NOTICES} calls and notices between two others; each arrives once and in order`, async () => {
		const sender = await RawClient.patiently(node(0).url, { clientId: "sender", ...inTeam() });
		const receiver = await RawClient.patiently(node(1).url, { clientId: "receiver", ...inTeam() });
		const handled: unknown[] = [];
		await receiver.serve("count", (_, [n]) => handled.push(n));
		const answers: Promise<unknown>[] = [];
		for (let n = 0; n < NOTICES; n++) {
			answers.push(sender.call("receiver", "services.count.handle", [n]));
			sender.send({ type: "notice", to: "receiver", data: n });
			if (n === KILL_AFTER) {
				await Promise.all(answers);
				await node(2).kill9();
			}
		}
		const numbers = Array.from({ length: NOTICES }, (_, n) => n);
		expect(await Promise.all(answers)).toEqual(numbers.map((n) => n + 1));
		expect(handled).toEqual(numbers);
		const isLast = ({ main }: { main: Readonly<Record<string, unknown>> }) => main["data"] === NOTICES - 1;
		await receiver.frames.first(isLast, "the last notice");
		expect(receiver.frames.all.map(({ main }) => main["data"])).toEqual(numbers);
		await sender.leave();
		await receiver.leave();
		await node(2).restart();
	});
});
