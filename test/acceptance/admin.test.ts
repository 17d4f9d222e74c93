/** What admins do to clients and workspaces, with published clients: of the whole server by `admin-utils`, of one workspace by the manager. */
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { ROOT_TOKEN } from "../kit/node-process.ts";
import { makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const LANGUAGES = ["python", "javascript"] as const;
const UTILS = "admin-utils";

onEachLog("admins", (node) => {
	let team: TestWorkspace;
	let clients: Readonly<Record<(typeof LANGUAGES)[number], ClientProcess>>;

	const member = (clientId: string) =>
		RawClient.patiently(node().url, { clientId, workspace: team.id, token: team.token });

	beforeAll(async () => {
		team = await makeWorkspace(node(), "admins");
		clients = { python: ClientProcess.python(), javascript: ClientProcess.javascript() };
		for (const language of LANGUAGES) {
			const client = clients[language];
			await client.connect(`root-${language}`, node().url, { token: ROOT_TOKEN });
			await client.run("find", { name: `root-${language}`, id: UTILS });
		}
	});
	afterAll(async () => {
		for (const client of Object.values(clients ?? {})) await client.stop();
	});

	describe.each(LANGUAGES)("with the %s client", (language) => {
		const utils = <T = unknown>(method: string, ...args: unknown[]) =>
			clients[language].call(`root-${language}`, UTILS, method, args) as Promise<T>;

		test("the operator sees nodes and all workspaces, and is told what is not offered", async () => {
			const { detail } = await node().health();
			expect(await utils("list_servers")).toEqual([detail["node"]]);
			const listed = await utils<{ id: string }[]>("list_workspaces");
			expect(listed.map(({ id }) => id)).toEqual(expect.arrayContaining([team.id, "ws-user-root"]));
			await expect(utils("block_user", "x")).rejects.toThrow(
				/NotImplementedError: block_user is not offered/,
			);
		});

		test("a client that is kicked out is closed with 1008 and the reason, and its services are gone", async () => {
			const victim = await member(`victim-${language}`);
			await victim.serve("mine", () => null);
			expect(await utils("kickout_client", team.id, `victim-${language}`, 1008, "too loud")).toBe(null);
			expect(await victim.closed).toEqual({ code: 1008, reason: "too loud" });
			const other = await member(`other-${language}`);
			const gone = other.manage("get_service_info", `victim-${language}:mine`);
			await expect(gone).rejects.toThrow(/KeyError: 'Service not found/);
			const absent = utils("kickout_client", team.id, `victim-${language}`);
			await expect(absent).rejects.toThrow(/KeyError: 'Client not found/);
			await other.leave();
		});

		test("a workspace that is unloaded says so to subscribers before they are closed, and is there for the next", async () => {
			const first = await member(`first-${language}`);
			await first.manage("subscribe", ["workspace_unloaded", "workspace_ready"]);
			const ready = await first.frames.first(({ main }) => main["type"] === "workspace_ready", "ready");
			expect(ready.main["data"]).toMatchObject({ id: team.id });
			const told = first.frames.first(({ main }) => main["type"] === "workspace_unloaded", "unloaded");
			await utils("unload_workspace", team.id);
			expect((await told).main["data"]).toMatchObject({ id: team.id });
			expect(await first.closed).toMatchObject({ code: 1008 });
			const next = await member(`next-${language}`);
			expect(await next.manage("get_workspace_info")).toMatchObject({ id: team.id });
			await next.leave();
		});
	});

	test("an admin of one workspace kicks out and clears away there; a member may not, and nobody of another workspace has admin-utils", async () => {
		const root = await RawClient.patiently(node().url, { clientId: "root-raw", token: ROOT_TOKEN });
		const token = (await root.manage("generate_token", {
			workspace: team.id,
			permission: "admin",
		})) as string;
		const admin = await RawClient.patiently(node().url, { clientId: "admin", workspace: team.id, token });
		const guest = await member("guest");
		await expect(guest.manage("kickout_client", "admin")).rejects.toThrow(/PermissionError/);
		await expect(admin.manage("get_service", "ws-user-root/admin-utils")).rejects.toThrow(/PermissionError/);
		const utils = admin.call(admin.managerPeer, "services.admin-utils.kickout_client", [team.id, "guest"]);
		await expect(utils).rejects.toThrow(/PermissionError/);
		await admin.serve("alive", () => null);
		expect(await admin.manage("cleanup", team.id, 1)).toEqual({ removed_clients: [guest.peer] });
		expect(await guest.closed).toEqual({ code: 1008, reason: "it did not answer a ping" });
		const again = await member("guest");
		expect(await admin.manage("kickout_client", "guest", "out")).toBe(null);
		expect(await again.closed).toEqual({ code: 1008, reason: "out" });
		await admin.leave();
		await root.leave();
	});
});
