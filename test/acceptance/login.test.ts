/** People log in with name and password, programs get their token by the published clients' own login. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAILURES_AT_ONCE_MAX } from "../../gateway/caller-limits.ts";
import { ClientProcess } from "../kit/client-process.ts";
import { NodeProcess, ROOT_TOKEN } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";

const PASSWORD = "correct horse battery";
const PAGE = "public/apps/hypha-login/";
const LANGUAGES = ["python", "javascript"] as const;

describe("login", () => {
	let node: NodeProcess;
	const clients = {} as Record<(typeof LANGUAGES)[number], ClientProcess>;
	let foreign: TestWorkspace;
	/** Every test has an address of its own. */
	let address = 0;

	beforeAll(async () => {
		node = await NodeProcess.start("sqlite", ["--proxy-hops", "1", "--log-level", "debug"]);
		foreign = await makeWorkspace(node, "foreign");
		clients.python = ClientProcess.python();
		clients.javascript = ClientProcess.javascript();
	});
	afterAll(async () => {
		await Promise.all(Object.values(clients).map((client) => client.stop()));
		await node?.remove();
	});

	const post = async (path: string, fields: object, headers: Record<string, string> = {}) => {
		const response = await fetch(`${node.url}/${path}`, {
			method: "POST",
			body: JSON.stringify(fields),
			headers: { "content-type": "application/json", "x-forwarded-for": `10.1.0.${address}`, ...headers },
		});
		// biome-ignore lint/suspicious/noExplicitAny: what the body is like is what the tests are about
		const answer = (await response.json()) as any;
		return { status: response.status, headers: response.headers, body: answer };
	};
	const service = (method: string, fields: object, token?: string) =>
		post(`public/services/hypha-login/${method}`, fields, token ? { authorization: `Bearer ${token}` } : {});
	const newAccount = async (name: string, more: object = {}) => {
		const made = await service("signup", { name, password: PASSWORD, ...more }, ROOT_TOKEN);
		expect(made).toMatchObject({ status: 200, body: expect.stringMatching(/^[a-z0-9]+-\d{8}$/) });
		return made.body as string;
	};
	const logIn = (name: string, password = PASSWORD, more: object = {}) =>
		post(PAGE, { name, password, ...more });

	test("gives a token for the account's user, the same each time, which owns its workspace and no other", async () => {
		address++;
		const user = await newAccount("ada", { email: "ada@example.org" });
		for (const name of ["ada", " Ada "]) {
			const { status, body } = await logIn(name);
			expect(status).toBe(200);
			const joined = await clients.python.connect(`of-${name.trim()}`, node.url, { token: body.token });
			expect(joined.workspace).toBe(`ws-user-${user}`);
			expect(joined.user).toMatchObject({
				id: user,
				email: "ada@example.org",
				is_anonymous: false,
				roles: [],
			});
			for (const workspace of ["ws-user-root", foreign.id]) {
				const elsewhere = { token: body.token, workspace };
				await expect(clients.python.connect("elsewhere", node.url, elsewhere)).rejects.toThrow(/denied/);
			}
		}
	});

	test.each(LANGUAGES)(
		"of a %s program: it waits for the person, and has the token or the profile",
		async (language) => {
			address++;
			const user = await newAccount(`person-${language}`);
			const fields = { name: `person-${language}`, password: PASSWORD };
			const client = clients[language];
			for (const transport of ["websocket", "http"]) {
				const options = { server_url: node.url, login_timeout: 30, transport };
				const logged_in = { url: `${node.url}/${PAGE}`, fields };
				const token = await client.run<string>("log_in", { options, logged_in });
				const joined = await client.connect(`in-${transport}`, node.url, { token });
				expect(joined.user["id"]).toBe(user);
				const profile = await client.run("log_in", { options: { ...options, profile: true }, logged_in });
				expect(profile).toMatchObject({ user_id: user, email: null, token: expect.any(String) });
			}
		},
	);

	test("for one workspace gives a token for that one alone, as far as the user may make such tokens", async () => {
		address++;
		const user = await newAccount("owner");
		const own = await logIn("owner");
		await clients.javascript.connect("owner", node.url, { token: own.body.token });
		const workspace = "owned-by-owner";
		await clients.javascript.manage("owner", "create_workspace", { id: workspace, persistent: true });
		const wait = async (wanted: string) => {
			const started = await service("start", { workspace: wanted, expires_in: 600 });
			const { key, login_url } = started.body;
			expect(login_url).toBe(`${node.url}/${PAGE}?key=${key}&workspace=${wanted}&expires_in=600`);
			const reported = await logIn("owner", PASSWORD, { key, workspace: wanted, expires_in: "600" });
			return { reported, checked: await service("check", { key, timeout: 0 }) };
		};
		const { reported, checked } = await wait(workspace);
		expect(reported.body).toEqual({ success: true });
		const joined = await clients.javascript.connect("bound", node.url, { token: checked.body });
		expect([joined.workspace, joined.user["parent"]]).toEqual([workspace, user]);
		const refused = await wait(foreign.id);
		expect(refused.reported).toMatchObject({ status: 403, body: { success: false } });
		expect(refused.checked).toMatchObject({ status: 200, body: null });
	});

	test("takes keys of this server only, each once, and tokens that are good", async () => {
		address++;
		await newAccount("once");
		const { key } = (await service("start", {})).body;
		const [chance, end, code] = key.split(".");
		const forged = ["", "x", `${chance}.${Number(end) + 1}.${code}`, `${chance}x.${end}.${code}`];
		for (const bad of forged) {
			expect(await service("check", { key: bad, timeout: 0 })).toMatchObject({
				status: 400,
				body: { detail: expect.stringContaining("Invalid key, key does not exist") },
			});
			expect((await logIn("once", PASSWORD, { key: bad })).status).toBe(400);
		}
		expect(await service("check", { key, timeout: 0 })).toMatchObject({ status: 200, body: null });
		expect((await service("report", { key, token: "nonsense" })).status).not.toBe(200);
		expect((await service("report", { key, token: ROOT_TOKEN })).status).toBe(200);
		expect(await logIn("once", PASSWORD, { key })).toMatchObject({
			status: 400,
			body: { detail: expect.stringContaining("completed already") },
		});
		expect((await service("check", { key })).body).toBe(ROOT_TOKEN);
		for (const [profile, body] of [
			["false", ROOT_TOKEN],
			["true", { token: ROOT_TOKEN, user_id: "root", email: null }],
		]) {
			const query = `key=${key}&profile=${profile}`;
			const checked = await fetch(`${node.url}/public/services/hypha-login/check?${query}`);
			expect(await checked.json()).toEqual(body);
		}
	});

	test("with a wrong password is 401 as without an account, then 429, for that account and from that address", async () => {
		address++;
		for (const name of ["guessed", "neighbour"]) await newAccount(name);
		expect(await logIn("guessed", "a wrong password")).toMatchObject({
			status: 401,
			body: { success: false, detail: "Name or password is wrong." },
		});
		expect((await logIn("nobody-at-all")).body.detail).toBe("Name or password is wrong.");
		// On a slow machine more may be looked at meanwhile.
		const guessUntilRefused = async (name: string, guesses: number) => {
			for (let i = 0; i < guesses; i++) {
				const answer = await logIn(name, "a wrong password");
				if (answer.status === 429) return Number(answer.headers.get("retry-after"));
			}
			throw new Error("every guess was looked at");
		};
		expect(await guessUntilRefused("guessed", 10 * FAILURES_AT_ONCE_MAX)).toBeGreaterThanOrEqual(1);
		expect(await guessUntilRefused("nobody-at-all", FAILURES_AT_ONCE_MAX)).toBeGreaterThanOrEqual(1);
		address++;
		expect(await guessUntilRefused("guessed", FAILURES_AT_ONCE_MAX)).toBeGreaterThanOrEqual(1);
		expect((await logIn("neighbour")).status).toBe(200);
	});

	test("after a changed password takes the new one only; the operator can set it, and remove the account", async () => {
		address++;
		await newAccount("changing");
		const next = "another long password";
		expect((await logIn("changing", PASSWORD, { new_password: "short" })).status).toBe(400);
		expect((await logIn("changing", PASSWORD, { new_password: next })).status).toBe(200);
		expect((await logIn("changing")).status).toBe(401);
		expect((await logIn("changing", next)).status).toBe(200);
		await service("set_password", { name: "changing", password: PASSWORD }, ROOT_TOKEN);
		expect((await logIn("changing")).status).toBe(200);
		await service("remove_account", { name: "changing" }, ROOT_TOKEN);
		expect((await logIn("changing")).status).toBe(401);
	});

	test("accounts are the operator's to make, one of a name, with names and passwords that are fit", async () => {
		address++;
		const { token } = (await logIn("ada")).body;
		for (const method of ["signup", "set_password", "remove_account"]) {
			for (const by of [undefined, token]) {
				const fields = { name: "ada", ...(method === "remove_account" ? {} : { password: PASSWORD }) };
				expect((await service(method, fields, by)).status, method).toBe(403);
			}
		}
		expect((await logIn("ada")).status).toBe(200);
		const made = (fields: object) => service("signup", { password: PASSWORD, ...fields }, ROOT_TOKEN);
		expect(await made({ name: "ada" })).toMatchObject({
			status: 400,
			body: { detail: expect.stringContaining("There is an account ada already") },
		});
		expect((await made({ name: "short", password: "short" })).status).toBe(400);
		for (const name of ["", "a/b", "a b", "x".repeat(101)]) expect((await made({ name })).status).toBe(400);
	});

	test("has a page, found by /login, that runs nothing but its own script", async () => {
		address++;
		const { body } = await service("logout", {});
		expect(body).toEqual({ logout_url: `${node.url}/${PAGE}?logout=1` });
		const moved = await fetch(`${node.url}/login?key=k`, { redirect: "manual" });
		expect([moved.status, moved.headers.get("location")]).toEqual([307, `/${PAGE}?key=k`]);
		const page = await fetch(`${node.url}/${PAGE}`);
		expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
		expect(page.headers.get("content-security-policy")).toMatch(/^default-src 'none'; .*script-src 'sha256-/);
		expect(await page.text()).toContain('type="password"');
	});

	test("leaves no password and no token of a login in the log's files or in the node's output", async () => {
		address++;
		const { key } = (await service("start", {})).body;
		await logIn("ada", PASSWORD, { key });
		const token = (await service("check", { key })).body as string;
		await node.terminate();
		const files = await readdir(node.dataDir, { recursive: true, withFileTypes: true });
		const contents = await Promise.all(
			files.filter((file) => file.isFile()).map((file) => readFile(join(file.parentPath, file.name))),
		);
		const all = Buffer.concat([...contents, Buffer.from(node.output())]);
		expect(all.includes("account.create")).toBe(true);
		for (const secret of [PASSWORD, token, key]) expect(all.includes(secret)).toBe(false);
		await node.restart();
		expect((await logIn("ada")).status).toBe(200);
	});
});
