/**
 * What users of the published clients do, as cases with their results: the manager's methods and everyday calls
 * (clients.md §6). The same cases run on Mycelog over every log and on a real Hypha; where that one answers otherwise,
 * the case says how and why. Owns the cases and the world they run in.
 */
import { randomBytes } from "node:crypto";
import { bytes, type ClientProcess, pattern } from "./client-process.ts";
import { ROOT_TOKEN } from "./node-process.ts";
import { RawClient } from "./raw-client.ts";

/** Bytes of an argument that goes in chunks. */
const LARGE_BYTES = 1_500_000;
const LARGE_SHA256 = "5596d05b12f12e268d4d9418b201f81533c985c09d28f2b91c2b013174e1be48";

/** Three clients of one driver: two in a workspace, one in another. */
export interface World {
	readonly client: ClientProcess;
	/** Of nodes; clients are spread over them. */
	readonly urls: readonly string[];
	readonly team: string;
	readonly elsewhere: string;
	readonly token: string;
	/** Names are the driver's: several drivers share a workspace. */
	readonly provider: string;
	readonly user: string;
	readonly stranger: string;
	/** Unique for this driver. */
	readonly tag: string;
}

export interface Case {
	/** A manager method by its name on the wire, or what users do. */
	readonly name: string;
	/** Names of workspaces, clients and the like are written as in the world's fields: TEAM, ELSEWHERE, TAG. */
	readonly run: (world: World) => Promise<unknown>;
	readonly expected: unknown;
	/** A real Hypha answers so instead; `why` is for people. */
	readonly hypha?: { readonly answers: unknown; readonly why: string };
}

export async function makeWorld(client: ClientProcess, tag: string, urls: readonly string[]): Promise<World> {
	const random = randomBytes(4).toString("hex");
	const [first = ""] = urls;
	const root = await RawClient.patiently(first, { clientId: `root-${random}`, token: ROOT_TOKEN });
	const workspace = async (label: string) => {
		const id = `compat-${label}-${random}`;
		const record = { id, name: id, description: "for tests", persistent: true };
		await root.manage("create_workspace", record);
		const token = await root.manage("generate_token", { workspace: id, permission: "admin" });
		return { workspace: id, token: token as string };
	};
	const team = await workspace("team");
	const elsewhere = await workspace("elsewhere");
	await root.leave();
	const world = {
		client,
		urls,
		team: team.workspace,
		elsewhere: elsewhere.workspace,
		token: team.token,
		provider: `provider-${tag}`,
		user: `user-${tag}`,
		stranger: `stranger-${tag}`,
		tag,
	};
	const url = (n: number) => urls[n % urls.length] as string;
	await client.connect(world.provider, url(0), team);
	await client.connect(world.user, url(1), team);
	await client.connect(world.stranger, url(2), elsewhere);
	await client.run("register", {
		name: world.provider,
		id: `hello-${tag}`,
		config: { visibility: "public" },
	});
	await client.run("find", { name: world.user, id: `hello-${tag}` });
	return world;
}

/** What a case came to in this world: its value, or the last words of its error; with the world's names replaced. */
export async function outcomeOf({ run }: Case, world: World): Promise<unknown> {
	const outcome = await run(world).catch((error: Error) => `rejected: ${lastWords(error.message)}`);
	const names = [
		[world.team, "TEAM"],
		[world.elsewhere, "ELSEWHERE"],
		[world.tag, "TAG"],
	] as const;
	const text = names.reduce(
		(text, [name, word]) => text.replaceAll(name, word),
		JSON.stringify(outcome ?? null),
	);
	// Users whom tokens make have random names.
	return JSON.parse(text.replaceAll(/ws-user-[a-z]+-[a-z]+-\d{8}/g, "ws-user-CHILD"));
}

function lastWords(text: string): string {
	const lines = text.split("\n").filter((line) => /\w+(Error|Exception): |Error: /.test(line));
	const line = lines.at(-1) ?? text;
	return line.replace(/^.*?(\w+Error: (?!\w+Error: ))/, "$1").trim();
}

type Fields = Readonly<Record<string, unknown>>;

const hello = ({ tag }: World) => `hello-${tag}`;
const full = (world: World, id = hello(world)) => `${world.team}/${world.provider}:${id}`;
const call = (world: World, method: string, args: readonly unknown[], kwargs?: object) =>
	world.client.call(world.user, hello(world), method, args, kwargs);
const manage = <T = Fields>({ client, user }: World, method: string, ...args: unknown[]) =>
	client.manage(user, method, ...args) as Promise<T>;
const pick = (fields: Fields, ...keys: string[]) => Object.fromEntries(keys.map((key) => [key, fields[key]]));
/** Why a real Hypha lets these users see more. */
const ADMIN_ROLE =
	"tokens that the root user makes keep root's `admin` role there, which opens every workspace; here a token opens what " +
	"it names";
const NO_HOME =
	"rejected: KeyError: 'Workspace (ws-user-CHILD) not found and workspace loader not configured (requires s3).'";
const NO_HOME_REASON =
	"there, a user who was made by a token has no workspace of its own to keep the bookmark in, unless S3 is configured";
/** A service of its own for one case. */
async function registered(world: World, kind: string, config: Fields = {}): Promise<string> {
	const id = `${kind}-${world.tag}`;
	await world.client.run("register", { name: world.provider, id, config });
	return id;
}
const ids = (records: readonly { readonly id: string }[], word: string) =>
	records
		.map(({ id }) => id)
		.filter((id) => id.includes(word))
		.sort();

export const CASES: readonly Case[] = [
	{
		name: "connect without a token",
		run: async ({ client, urls, tag }) => {
			const { workspace, user } = await client.connect(`anonymous-${tag}`, urls[0] as string);
			await client.run("disconnect", { name: `anonymous-${tag}` });
			return { anonymous: user["is_anonymous"], own: workspace === `ws-user-${user["id"]}` };
		},
		expected: { anonymous: true, own: true },
	},
	{
		name: "connect with a token",
		run: async ({ client, urls, tag, token }) => {
			const options = { token };
			const { workspace } = await client.connect(`token-${tag}`, urls.at(-1) as string, options);
			const config = await client.run<Fields>("config", { name: `token-${tag}` });
			await client.run("disconnect", { name: `token-${tag}` });
			return { workspace, ...pick(config, "workspace", "client_id"), user: typeof config["user"] };
		},
		expected: { workspace: "TEAM", client_id: "token-TAG", user: "object" },
	},
	{
		name: "connect with an id that is in use",
		run: async ({ client, urls, team, token, tag }) => {
			const name = `twin-${tag}`;
			await client.connect(name, urls[0] as string, { workspace: team, token });
			const second = client.run("connect", {
				name: `second-${name}`,
				options: { server_url: urls.at(-1), client_id: name, workspace: team, token },
			});
			const outcome = await second.then(
				() => "let in",
				(error: Error) => /already exists and is active/.test(error.message) && "refused",
			);
			await client.run("disconnect", { name });
			return outcome;
		},
		expected: "refused",
	},
	{
		name: "call: positional arguments",
		run: (world) => call(world, "add", [40, 2]),
		expected: 42,
	},
	{
		name: "call: keyword arguments",
		run: (world) => call(world, "greet", [], { mark: "?", greeting: "Hi", name: "Ann" }),
		expected: "Hi Ann?",
	},
	{
		name: "call: nested methods",
		run: async (world) => [await call(world, "math.twice", [21]), await call(world, "math.deep.negate", [7])],
		expected: [42, -7],
	},
	{
		name: "call: callbacks",
		run: (world) => world.client.run("visit", { name: world.user, id: hello(world), items: [1, 2, 3] }),
		expected: { result: [10, 20, 30], seen: [1, 2, 3] },
	},
	{
		name: "call: generators",
		run: (world) => world.client.run("drain", { name: world.user, id: hello(world), upto: 5 }),
		expected: [0, 1, 2, 3, 4],
	},
	{
		name: "call: bytes",
		run: (world) => call(world, "reverse", [bytes(Uint8Array.of(0, 1, 255))]),
		expected: bytes(Uint8Array.of(255, 1, 0)),
	},
	{
		name: "call: more than 1 MiB",
		run: (world) => call(world, "echo", [pattern(LARGE_BYTES)]),
		expected: { $sha256: LARGE_SHA256, bytes: LARGE_BYTES },
	},
	{
		name: "call: an error of the service",
		run: async (world) => call(world, "fail", ["bad 3"]).catch((error: Error) => /bad 3/.test(error.message)),
		expected: true,
	},
	{
		name: "call: with the caller's context",
		run: async (world) => {
			const id = await registered(world, "context", { require_context: true });
			await world.client.run("find", { name: world.user, id });
			const context = (await world.client.call(world.user, id, "whoami", [])) as Fields;
			return pick(context, "from", "to", "ws");
		},
		expected: { from: "TEAM/user-TAG", to: "TEAM/provider-TAG", ws: "TEAM" },
	},
	{
		name: "call: to a provider that leaves meanwhile, and after",
		run: async (world) => {
			const { client, urls, team, token, tag, user } = world;
			const name = `leaver-${tag}`;
			await client.connect(name, urls[0] as string, { workspace: team, token });
			await client.run("register", { name, id: name });
			await client.run("find", { name: user, id: name });
			const hanging = client.call(user, name, "hang", []).catch((error: Error) => error.message);
			await client.call(user, name, "add", [1, 2]);
			await client.run("disconnect", { name });
			const after = client.call(user, name, "add", [1, 2]).catch((error: Error) => error.message);
			return [/disconnected|not connected/i.test(String(await hanging)), typeof (await after)];
		},
		expected: [true, "string"],
	},
	{
		name: "HTTP: GET and POST call of a service",
		run: async (world) => {
			const path = `${world.urls[0]}/${world.team}/services/${hello(world)}`;
			const authorization = `Bearer ${world.token}`;
			const got = await fetch(`${path}/add?a=1&b=2`, { headers: { authorization } });
			const posted = await fetch(`${path}/add`, {
				method: "POST",
				headers: { authorization, "content-type": "application/json" },
				body: JSON.stringify({ a: 40, b: 2 }),
			});
			return [got.status, await got.json(), posted.status, await posted.json()];
		},
		expected: [200, 3, 200, 42],
	},
	{
		name: "register_service",
		run: async (world) => {
			const kinds: unknown[] = [];
			for (const visibility of ["public", "protected", "unlisted"]) {
				const id = await registered(world, visibility, { visibility });
				const { config } = await manage<{ config: Fields }>(world, "get_service_info", id);
				kinds.push(pick(config, "visibility", "workspace", "require_context", "singleton", "flags"));
			}
			return kinds;
		},
		expected: ["public", "protected", "unlisted"].map((visibility) => ({
			visibility,
			workspace: "TEAM",
			require_context: false,
			singleton: false,
			flags: [],
		})),
	},
	{
		name: "unregister_service",
		run: async (world) => {
			const id = await registered(world, "brief");
			await world.client.run("unregister", { name: world.provider, id });
			return manage(world, "get_service_info", id);
		},
		expected: "rejected: KeyError: 'Service not found: TEAM/*:brief-TAG@*'",
	},
	{
		name: "get_service",
		run: async (world) => {
			const id = hello(world);
			const forms = [id, `${world.provider}:${id}`, `${world.team}/${id}`, full(world), `${id}@*`];
			const found: string[] = [];
			for (const form of forms) {
				found.push((await world.client.run<{ id: string }>("find", { name: world.user, id: form })).id);
			}
			return [...new Set(found)];
		},
		expected: ["TEAM/provider-TAG:hello-TAG"],
	},
	{
		name: "get_service: of another workspace",
		run: async (world) => {
			const inner = await registered(world, "inner");
			const find = (id: string) => world.client.run<{ id: string }>("find", { name: world.stranger, id });
			const opened = await find(full(world));
			const closed = find(full(world, inner)).then(({ id }) => id);
			return [opened.id, await closed.catch((error: Error) => lastWords(error.message))];
		},
		expected: [
			"TEAM/provider-TAG:hello-TAG",
			"PermissionError: Permission denied for non-public service in workspace TEAM",
		],
		hypha: { answers: ["TEAM/provider-TAG:hello-TAG", "TEAM/provider-TAG:inner-TAG"], why: ADMIN_ROLE },
	},
	{
		name: "get_service_info",
		run: async (world) => {
			const info = await manage(world, "get_service_info", hello(world));
			return { ...pick(info, "id", "name", "type", "app_id"), description: info["description"] || null };
		},
		expected: {
			id: "TEAM/provider-TAG:hello-TAG",
			name: "hello-TAG",
			type: "generic",
			app_id: "*",
			description: null,
		},
	},
	{
		name: "list_services",
		run: async (world) => {
			const id = await registered(world, "listed-a", { visibility: "public" });
			await registered(world, "listed-z", { visibility: "unlisted" });
			const list = async (...args: unknown[]) =>
				ids(await manage<{ id: string }[]>(world, "list_services", ...args), ":listed-");
			const own = (found: string[]) => found.filter((full) => full.includes(world.tag));
			return [
				own(await list()),
				own(await list({ client_id: world.provider, visibility: "public" })),
				own(await list(world.team)),
				own(await list(null, true)),
				await list(`${world.provider}:${id}`),
			];
		},
		expected: [
			["TEAM/provider-TAG:listed-a-TAG"],
			["TEAM/provider-TAG:listed-a-TAG"],
			["TEAM/provider-TAG:listed-a-TAG"],
			["TEAM/provider-TAG:listed-a-TAG", "TEAM/provider-TAG:listed-z-TAG"],
			["TEAM/provider-TAG:listed-a-TAG"],
		],
	},
	{
		name: "list_services: a query that cannot be",
		run: (world) => manage(world, "list_services", { nonsense: 1 }),
		expected: "rejected: ValueError: Invalid query keys: {'nonsense'}",
	},
	{
		name: "list_clients",
		run: async (world) => ids(await manage<{ id: string }[]>(world, "list_clients"), world.tag).slice(0, 2),
		expected: ["TEAM/provider-TAG", "TEAM/user-TAG"],
	},
	{
		name: "ping",
		run: async (world) => [
			await manage(world, "ping", `${world.team}/${world.provider}`),
			/^Failed to ping client/.test(String(await manage(world, "ping", `${world.team}/nobody`, 1))),
		],
		expected: ["pong", true],
	},
	{
		name: "echo",
		run: (world) => manage(world, "echo", { a: [1, null, "ü"] }),
		expected: { a: [1, null, "ü"] },
	},
	{
		name: "subscribe, unsubscribe",
		run: async (world) => {
			const { client, provider, user, tag } = world;
			const news = `news-${tag}`;
			const results = [await manage(world, "subscribe", [news, `end-${tag}`])];
			for (const event of [news, `end-${tag}`]) await client.run("on", { name: user, event });
			const emit = (type: string, data: unknown) =>
				client.run("emit", { name: provider, message: { type, to: "*", data } });
			await emit(news, { n: 1 });
			await client.heard(user, news, 1);
			results.push(await manage(world, "unsubscribe", news));
			await emit(news, { n: 2 });
			await emit(`end-${tag}`, "end");
			await client.heard(user, `end-${tag}`, 1);
			return [...results, await client.heard(user, news, 0)];
		},
		expected: [true, true, [{ data: { n: 1 }, from: "TEAM/provider-TAG" }]],
	},
	{
		name: "subscribe: to another workspace's events",
		run: async (world) =>
			manage(world, "subscribe", `${world.elsewhere}/x`).catch((error: Error) =>
				/is forbidden/.test(error.message),
			),
		expected: true,
	},
	{
		name: "subscribe: system events",
		run: async (world) => {
			const { client, user, urls, team, token, tag } = world;
			const types = ["service_added", "service_removed", "client_disconnected"];
			await manage(world, "subscribe", types);
			for (const event of types) await client.run("on", { name: user, event });
			const name = `visitor-${tag}`;
			await client.connect(name, urls[0] as string, { workspace: team, token });
			await client.run("register", { name, id: name });
			await client.run("unregister", { name, id: name });
			await client.run("disconnect", { name });
			const seen: unknown[] = [];
			for (const event of types) {
				const [first] = await client.heard(user, event, 1);
				seen.push((first as { data: Fields }).data["id"]);
			}
			return seen;
		},
		expected: ["TEAM/visitor-TAG:visitor-TAG", "TEAM/visitor-TAG:visitor-TAG", "visitor-TAG"],
	},
	{
		name: "generate_token",
		run: async (world) => {
			const { client, urls, tag } = world;
			const token = await manage<string>(world, "generate_token", {
				permission: "read_write",
				expires_in: 600,
			});
			const name = `child-${tag}`;
			const { workspace } = await client.connect(name, urls.at(-1) as string, { token });
			const answer = await client.manage(name, "echo", "hi");
			await client.run("disconnect", { name });
			return [workspace, answer];
		},
		expected: ["TEAM", "hi"],
	},
	{
		name: "parse_token",
		run: async (world) => {
			const token = await manage<string>(world, "generate_token", { permission: "read" });
			const user = await manage<{ scope: Fields; is_anonymous: boolean }>(world, "parse_token", token);
			const { current_workspace, workspaces } = user.scope as {
				current_workspace: string;
				workspaces: Fields;
			};
			return { anonymous: user.is_anonymous, current_workspace, permission: workspaces[world.team] };
		},
		expected: { anonymous: false, current_workspace: "TEAM", permission: "r" },
	},
	{
		name: "revoke_token",
		run: async (world) => {
			const token = await manage<string>(world, "generate_token", {});
			const revoked = await manage(world, "revoke_token", token);
			const late = world.client.run("connect", {
				name: "late",
				options: { server_url: world.urls.at(-1), client_id: `late-${world.tag}`, token },
			});
			return [
				revoked,
				await late.then(
					() => "let in",
					(error: Error) => /revoked/.test(error.message) && "refused",
				),
			];
		},
		expected: [null, "refused"],
	},
	{
		name: "create_workspace",
		run: async (world) => {
			const id = `${world.tag}-made-1`;
			const { client, user } = world;
			const made = (await client.manage(user, "create_workspace", { id, description: "d" })) as Fields;
			const again = await client
				.manage(user, "create_workspace", { id })
				.catch((error: Error) => lastWords(error.message));
			const over = (await client.manage(user, "create_workspace", { id, description: "e" }, true)) as Fields;
			await client.manage(user, "delete_workspace", id);
			return [pick(made, "id", "name", "description", "persistent"), again, over["description"]];
		},
		expected: [
			{ id: "TAG-made-1", name: "TAG-made-1", description: "d", persistent: false },
			"RuntimeError: Workspace already exists: TAG-made-1",
			"e",
		],
		hypha: { answers: NO_HOME, why: NO_HOME_REASON },
	},
	{
		name: "create_workspace: names that are refused",
		run: async (world) => {
			const refused: unknown[] = [];
			for (const id of ["nohyphen", "Upper-Case"]) {
				refused.push(
					await manage(world, "create_workspace", { id }).catch((error: Error) =>
						/Workspace name must|Invalid workspace name/.test(error.message),
					),
				);
			}
			return refused;
		},
		expected: [true, true],
	},
	{
		name: "delete_workspace",
		run: async (world) => {
			const id = `${world.tag}-gone-1`;
			await manage(world, "create_workspace", { id });
			const deleted = await manage(world, "delete_workspace", id);
			const info = manage(world, "get_workspace_info", id);
			return [
				deleted,
				await info.then(
					() => "still there",
					() => "gone",
				),
			];
		},
		expected: [null, "gone"],
		hypha: { answers: NO_HOME, why: NO_HOME_REASON },
	},
	{
		name: "get_workspace_info",
		run: async (world) =>
			pick(await manage(world, "get_workspace_info"), "id", "name", "persistent", "read_only", "description"),
		expected: { id: "TEAM", name: "TEAM", persistent: true, read_only: false, description: "for tests" },
	},
	{
		name: "get_workspace_info: of another workspace",
		run: async (world) => (await manage(world, "get_workspace_info", world.elsewhere))["id"],
		expected: "rejected: PermissionError: Permission denied for workspace ELSEWHERE",
		hypha: {
			answers: "ELSEWHERE",
			why: `any workspace's record, variables included, is shown to everybody; ${ADMIN_ROLE}`,
		},
	},
	{
		name: "list_workspaces",
		run: async (world) => {
			const listed = ids(await manage<{ id: string }[]>(world, "list_workspaces"), "compat-");
			return listed.filter((id) => id === world.team || id === world.elsewhere);
		},
		expected: ["TEAM"],
		hypha: { answers: ["ELSEWHERE", "TEAM"], why: ADMIN_ROLE },
	},
	{
		name: "check_status",
		run: (world) => manage(world, "check_status"),
		expected: { status: "ready", errors: null, user_permission: "a" },
	},
	{
		name: "log",
		run: (world) => manage(world, "log", "hello"),
		expected: null,
	},
	{
		name: "log_event, get_events",
		run: async (world) => {
			const type = `event-${world.tag}`;
			const logged = await manage(world, "log_event", type, { a: 1 });
			const events = await manage<Fields[]>(world, "get_events", type);
			return [logged, ...events.map((event) => pick(event, "event_type", "workspace", "data"))];
		},
		expected: [null, { event_type: "event-TAG", workspace: "TEAM", data: { a: 1 } }],
	},
	{
		name: "get_event_stats",
		run: async (world) => {
			const type = `stats-${world.tag}`;
			for (const n of [1, 2]) await manage(world, "log_event", type, { n });
			return manage(world, "get_event_stats", type);
		},
		expected: [{ event_type: "stats-TAG", count: 2 }],
	},
	{
		name: "get_summary",
		run: async (world) => {
			const summary = await manage(world, "get_summary");
			return [summary["name"], Object.keys(summary).sort()];
		},
		expected: ["TEAM", ["client_count", "clients", "description", "name", "service_count", "services"]],
	},
	{
		name: "set_env, get_env",
		run: async (world) => {
			const key = `KEY_${world.tag}`;
			const set = await manage(world, "set_env", key, "value");
			const got = await manage(world, "get_env", key);
			const all = await manage(world, "get_env");
			await manage(world, "set_env", key, null);
			return [
				set,
				got,
				all[key],
				await manage(world, "get_env", key).catch((error: Error) =>
					/not found in workspace/.test(error.message),
				),
			];
		},
		expected: [null, "value", "value", true],
	},
	{
		name: "bookmark, unbookmark",
		run: async (world) => {
			const item = { bookmark_type: "workspace", id: world.elsewhere };
			const { client, urls, tag } = world;
			const name = `keeper-${tag}`;
			await client.connect(name, urls[0] as string);
			const kept = async () => {
				const { config } = (await client.manage(name, "get_workspace_info")) as {
					config: { bookmarks?: Fields[] };
				};
				return (config.bookmarks ?? []).map(({ id }) => id);
			};
			const results = [await client.manage(name, "bookmark", item), await kept()];
			results.push(await client.manage(name, "unbookmark", item), await kept());
			await client.run("disconnect", { name });
			return results;
		},
		expected: [null, ["ELSEWHERE"], null, []],
	},
	{
		name: "register_service_type, get_service_type, list_service_types",
		run: async (world) => {
			const id = `kind-${world.tag}`;
			const made = await manage(world, "register_service_type", {
				id,
				name: "Kind",
				definition: { f: { type: "function" } },
			});
			const found = await manage(world, "get_service_type", id);
			const listed = await manage<{ id: string }[]>(world, "list_service_types");
			return [made["id"], pick(found, "id", "name", "definition"), ids(listed, world.tag)];
		},
		expected: [
			"kind-TAG",
			{ id: "TEAM/kind-TAG", name: "Kind", definition: { f: { type: "function" } } },
			["kind-TAG"],
		],
	},
	{
		name: "cleanup",
		run: async ({ client, stranger, elsewhere }) => client.manage(stranger, "cleanup", elsewhere, 20),
		expected: {},
	},
	{
		name: "search_services",
		run: (world) => manage(world, "search_services", "x"),
		expected: "rejected: NotImplementedError: search_services is not offered by this server",
		hypha: {
			answers: "rejected: RuntimeError: Service search is not enabled.",
			why: "vector search is an option there that is off by default; here it is not offered",
		},
	},
];
