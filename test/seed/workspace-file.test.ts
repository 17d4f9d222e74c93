/**
 * The seed's four tests for the workspace file under their names, with what they must show: real restarts, two nodes that
 * read one registry, and names that are refused by rule.
 */
import { readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { useCluster } from "../kit/cluster.ts";
import type { NodeProcess } from "../kit/node-process.ts";
import { connectRoot, makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

interface Named {
	readonly id: string;
}

describe("test_kafka_workspace", () => {
	const nodes = useCluster(2);
	const node = (n: number) => nodes[n] as NodeProcess;
	let team: TestWorkspace;

	const connect = (n: number, clientId: string, { id, token } = team) =>
		RawClient.patiently(node(n).url, { clientId, workspace: id, token });

	beforeAll(async () => {
		team = await makeWorkspace(node(0), "seed");
	});

	test("test_kafka_workspace_creation, scenario 24: created, listed on the other node, refused again, replaced with overwrite; names follow the rule", async () => {
		const root = await connectRoot(node(0));
		const other = await connectRoot(node(1));
		const id = "seed-created-1";
		const record = { id, name: "first", persistent: true, description: "one" };
		expect(await root.manage("create_workspace", record)).toMatchObject({
			id,
			name: "first",
			owners: ["root"],
		});
		const listed = (await other.manage("list_workspaces", { id })) as Named[];
		expect(listed).toMatchObject([{ id, name: "first", persistent: true }]);
		await expect(root.manage("create_workspace", record)).rejects.toThrow(
			`RuntimeError: Workspace already exists: ${id}`,
		);
		await root.manage("create_workspace", { ...record, name: "second", description: "two" }, true);
		expect(await other.manage("get_workspace_info", id)).toMatchObject({
			name: "second",
			description: "two",
		});
		const owner = await connect(0, "owner");
		for (const name of ["NoCapitals-x", "no_underscore-x", "nohyphen", "sp ace-x", "a/b-x"]) {
			await expect(owner.manage("create_workspace", { id: name })).rejects.toThrow(/^ValueError/);
		}
		await root.manage("delete_workspace", id);
		expect(await other.manage("list_workspaces", { id })).toEqual([]);
		for (const client of [root, other, owner]) await client.leave();
	});

	test("test_kafka_workspace_service_isolation: one's own service is had, another workspace's is not, by whichever id it is asked for", async () => {
		const elsewhere = await makeWorkspace(node(1), "seed-elsewhere");
		const mine = await connect(0, "mine");
		const theirs = await connect(1, "theirs", elsewhere);
		for (const client of [mine, theirs]) {
			for (const id of ["built-in", "inner"]) {
				await client.manage("register_service", { id: `${client.peer}:${id}`, type: id, config: {} });
			}
		}
		expect(await mine.manage("get_service_info", "inner")).toMatchObject({ id: `${mine.peer}:inner` });
		for (const id of [`${theirs.peer}:inner`, `${elsewhere.id}/inner`, `${elsewhere.id}/*:inner`]) {
			await expect(mine.manage("get_service_info", id)).rejects.toThrow(/PermissionError/);
		}
		await expect(mine.manage("get_service_info", "theirs:inner")).rejects.toThrow(
			/KeyError: 'Service not found/,
		);
		for (const query of [elsewhere.id, "*/inner", { workspace: "*", service_id: "inner" }]) {
			const ids = ((await mine.manage("list_services", query)) as Named[]).map(({ id }) => id);
			expect(ids).not.toContain(`${theirs.peer}:inner`);
		}
		await expect(mine.manage("list_clients", elsewhere.id)).rejects.toThrow(/PermissionError/);
		for (const client of [mine, theirs]) await client.leave();
	});

	test("test_kafka_workspace_multi_client_same_workspace, scenario 26: clients on two nodes call each other and read one registry", async () => {
		const first = await connect(0, "first");
		const second = await connect(1, "second");
		await first.serve("shared", (_, [n]) => Number(n) + 1);
		expect(await second.call("first", "services.shared.next", [41])).toBe(42);
		const views = await Promise.all(
			[first, second].map(async (client) => [
				await client.manage("get_service_info", "shared"),
				await client.manage("list_services"),
				await client.manage("get_workspace_info"),
			]),
		);
		expect(views[0]).toEqual(views[1]);
		expect(views[0]?.[0]).toMatchObject({ id: `${first.peer}:shared` });
		// The version is the place in the one registry's history: read again after a change, both see the same new one.
		await second.manage("set_env", "CHANGED", "yes");
		const after = await Promise.all([first, second].map((client) => client.manage("get_workspace_info")));
		expect(after[0]).toEqual(after[1]);
		expect(after[0]).not.toEqual(views[0]?.[2]);
		for (const client of [first, second]) await client.leave();
	});

	test("test_kafka_workspace_persistence: all nodes die and start again, with their snapshots and without: workspace, owners and settings are equal", async () => {
		const root = await connectRoot(node(0));
		const id = "seed-persistent-1";
		const record = { id, persistent: true, owners: ["ann", "bob"], config: { extra: [1, { two: null }] } };
		await root.manage("create_workspace", record);
		const token = (await root.manage("generate_token", { workspace: id })) as string;
		const member = await connect(1, "member", { id, token });
		await member.manage("set_env", "REGION", "north");
		await member.manage("register_service_type", { id: "kind", definition: { f: {} } });
		const before = await root.manage("get_workspace_info", id);
		expect(before).toMatchObject({ owners: expect.arrayContaining(["ann", "bob", "root"]) });
		await member.leave();
		const readAgain = async () => {
			await Promise.all(nodes.map((each) => each.restart()));
			const asker = await connectRoot(node(1));
			const record = await asker.manage("get_workspace_info", id);
			await asker.leave();
			return record;
		};
		await Promise.all(nodes.map((each) => each.kill9()));
		expect(await readAgain()).toEqual(before);
		await Promise.all(nodes.map((each) => each.kill9()));
		for (const { dataDir } of nodes) {
			const files = (await readdir(dataDir)).filter((name) => name.startsWith("snapshots.db"));
			expect(files).not.toEqual([]);
			for (const name of files) await rm(join(dataDir, name));
		}
		expect(await readAgain()).toEqual(before);
	});
});
