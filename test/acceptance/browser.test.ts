/**
 * The JavaScript client in a real headless Chromium, over a WebSocket and over HTTP: what users typically do
 * (clients.md §6), from a page of another origin, with the client that the node itself serves. And the login page.
 */
import type { Browser } from "playwright-core";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { startChromium } from "../kit/chromium.ts";
import { bytes, ClientProcess, pattern } from "../kit/client-process.ts";
import { NodeProcess, ROOT_TOKEN } from "../kit/node-process.ts";
import { connectRoot, makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";

type Fields = Readonly<Record<string, unknown>>;

/** More than one frame holds. */
const LARGE_BYTES = 1_500_000;
const LARGE_SHA256 = "5596d05b12f12e268d4d9418b201f81533c985c09d28f2b91c2b013174e1be48";

let node: NodeProcess;
let team: TestWorkspace;
let browser: ClientProcess;
let python: ClientProcess;

beforeAll(async () => {
	node = await NodeProcess.start("sqlite");
	team = await makeWorkspace(node, "browser");
	browser = ClientProcess.browser();
	python = ClientProcess.python();
});
afterAll(async () => {
	await browser?.stop();
	await python?.stop();
	await node?.remove();
});

describe.each(["websocket", "http"])("the client in Chromium, over %s", (transport) => {
	const provider = `provider-${transport}`;
	const user = `user-${transport}`;
	const id = `hello-${transport}`;
	const full = () => `${team.id}/${provider}:${id}`;
	const member = () => ({ workspace: team.id, token: team.token, transport });
	const manage = (name: string, method: string, ...args: unknown[]) => browser.manage(name, method, ...args);
	const register = (name: string, service: string, config: Fields = {}) =>
		browser.run<string>("register", { name, id: service, config });
	const call = (method: string, args: readonly unknown[], kwargs?: object) =>
		browser.call(user, id, method, args, kwargs);

	/** A client on a socket says goodbye; one on HTTP has no way to, and one that was kicked out on a socket comes back. */
	const leave = async (clientId: string) => {
		if (transport === "websocket") {
			await browser.run("disconnect", { name: clientId });
			return;
		}
		const root = await connectRoot(node);
		await root.call(`*/${root.info.manager_id}`, "services.admin-utils.kickout_client", [team.id, clientId]);
		await root.leave();
	};

	test("connects with a token and without one, registers, and finds a service by each form of its id", async () => {
		expect((await browser.connect(provider, node.url, member())).workspace).toBe(team.id);
		await browser.connect(user, node.url, member());
		expect(await register(provider, id, { visibility: "public" })).toBe(full());
		for (const form of [id, `${provider}:${id}`, `${team.id}/${id}`, full(), `${full()}@*`]) {
			const found = await browser.run<{ id: string }>("find", { name: user, id: form });
			expect(found.id).toBe(full());
		}
		const nobody = `nobody-${transport}`;
		const { workspace, user: who } = await browser.connect(nobody, node.url, { transport });
		expect([workspace, who["is_anonymous"]]).toEqual([`ws-user-${who["id"]}`, true]);
		await browser.run("find", { name: nobody, id: full() });
		expect(await browser.call(nobody, full(), "add", [1, 2])).toBe(3);
		await browser.run("disconnect", { name: nobody });
	});

	test("calls with positional and keyword arguments, nested methods, callbacks, generators, bytes and large values", async () => {
		expect(await call("greet", ["Ada", "Hi"])).toBe("Hi Ada!");
		expect(await call("greet", [], { name: "Ada", mark: "?" })).toBe("Hello Ada?");
		expect(await call("math.deep.negate", [4])).toBe(-4);
		const visited = await browser.run("visit", { name: user, id, items: [1, 2] });
		expect(visited).toEqual({ result: [10, 20], seen: [1, 2] });
		expect(await browser.run("drain", { name: user, id, upto: 3 })).toEqual([0, 1, 2]);
		expect(await call("reverse", [bytes(Uint8Array.of(1, 2, 255))])).toEqual(bytes(Uint8Array.of(255, 2, 1)));
		expect(await call("echo", [pattern(LARGE_BYTES)])).toEqual({ $sha256: LARGE_SHA256, bytes: LARGE_BYTES });
		await expect(call("fail", ["bad luck"])).rejects.toThrow(/bad luck/);
		await expect(browser.run("find", { name: user, id: "nothing-there" })).rejects.toThrow(
			/Service not found/,
		);
	});

	test("serves a Python program and is served by it", async () => {
		const other = `python-${transport}`;
		await python.connect(other, node.url, { workspace: team.id, token: team.token });
		await python.run("register", { name: other, id: other });
		await browser.run("find", { name: user, id: other });
		expect(await browser.call(user, other, "add", [20, 22])).toBe(42);
		await python.run("find", { name: other, id });
		expect(await python.call(other, id, "add", [20, 22])).toBe(42);
	});

	test("has public, protected and unlisted services seen and called by whom they should", async () => {
		await register(provider, `guarded-${transport}`, { visibility: "protected" });
		await register(provider, `quiet-${transport}`, { visibility: "unlisted" });
		await register(provider, `asking-${transport}`, { visibility: "public", require_context: true });
		const stranger = `stranger-${transport}`;
		const { workspace } = await browser.connect(stranger, node.url, { transport });
		const seen = (await manage(stranger, "list_services", team.id)) as { id: string }[];
		const mine = new RegExp(`${provider}:(hello|asking|guarded|quiet)`);
		const services = seen.map((service) => service.id).filter((name) => mine.test(name));
		expect(services.sort()).toEqual([`${team.id}/${provider}:asking-${transport}`, full()]);
		const guarded = `${team.id}/${provider}:guarded-${transport}`;
		await expect(browser.run("find", { name: stranger, id: guarded })).rejects.toThrow(/Permission denied/);
		const asking = `${team.id}/asking-${transport}`;
		await browser.run("find", { name: stranger, id: asking });
		expect(await browser.call(stranger, asking, "whoami", [])).toMatchObject({
			from: `${workspace}/${stranger}`,
			ws: workspace,
			user: { is_anonymous: true },
		});
		await browser.run("find", { name: stranger, id: `${team.id}/quiet-${transport}` });
		await browser.run("disconnect", { name: stranger });
	});

	test("lists clients, makes a token for a second client, and hears events", async () => {
		const clients = (await manage(user, "list_clients")) as { id: string }[];
		expect(clients.map((client) => client.id)).toEqual(
			expect.arrayContaining([`${team.id}/${provider}`, `${team.id}/${user}`]),
		);
		const admin = `admin-${transport}`;
		await browser.connect(admin, node.url, { token: ROOT_TOKEN, transport });
		const token = await manage(admin, "generate_token", { workspace: team.id, expires_in: 600 });
		await browser.run("disconnect", { name: admin });
		const second = `second-${transport}`;
		expect((await browser.connect(second, node.url, { token, transport })).workspace).toBe(team.id);
		await manage(user, "subscribe", ["service_added"]);
		for (const event of ["notice", "service_added"]) await browser.run("on", { name: user, event });
		await register(second, `fresh-${transport}`);
		expect((await browser.heard(user, "service_added", 1))[0]?.data).toMatchObject({
			id: `${team.id}/${second}:fresh-${transport}`,
		});
		await browser.run("emit", { name: second, message: { type: "notice", to: user, data: "hello" } });
		expect((await browser.heard(user, "notice", 1))[0]).toEqual({
			data: "hello",
			from: `${team.id}/${second}`,
		});
		await browser.run("disconnect", { name: second });
	});

	test("is told when a provider leaves during a call, and after it", async () => {
		const leaving = `leaving-${transport}`;
		await browser.connect(leaving, node.url, member());
		await register(leaving, leaving);
		await browser.run("find", { name: user, id: leaving });
		const hanging = expect(browser.call(user, leaving, "hang", [])).rejects.toThrow(
			/Client disconnected|is not connected/,
		);
		// Ordered behind the call.
		expect(await browser.call(user, leaving, "add", [1, 1])).toBe(2);
		await leave(leaving);
		await hanging;
		await expect(browser.call(user, leaving, "add", [1, 1])).rejects.toThrow(
			/is not connected|Client disconnected/,
		);
	});

	test("is one of two clients with its id: the second one is refused while the first is there", async () => {
		const wanted = { ...member(), method_timeout: 1 };
		const refusal = transport === "http" ? /Timeout waiting for connection/ : /already exists and is active/;
		await expect(browser.connect(provider, node.url, wanted)).rejects.toThrow(refusal);
		expect(await call("add", [2, 2])).toBe(4);
	});

	test("has its services called by plain HTTP, by GET and POST", async () => {
		const address = `${node.url}/${team.id}/services/${id}`;
		expect(await (await fetch(`${address}/add?a=2&b=3`)).json()).toBe(5);
		const headers = { "content-type": "application/json" };
		const posted = await fetch(`${address}/echo`, { method: "POST", headers, body: '{"value":[1,"two"]}' });
		expect(await posted.json()).toEqual([1, "two"]);
	});
});

test("after a restart of the node the page's clients are back by themselves, over both transports", async () => {
	await node.terminate();
	await node.restart();
	for (const transport of ["websocket", "http"]) {
		const call = () => browser.call(`user-${transport}`, `hello-${transport}`, "add", [20, 22]);
		expect(await vi.waitFor(call, { timeout: 45_000, interval: 300 })).toBe(42);
	}
});

describe("the login page in Chromium", () => {
	let own: Browser;
	beforeAll(async () => {
		own = await startChromium();
	});
	afterAll(() => own?.close());

	test("logs a person in, and the program that waits has the token; a wrong password is said so", async () => {
		const signup = await fetch(`${node.url}/public/services/hypha-login/signup`, {
			method: "POST",
			headers: { "content-type": "application/json", authorization: `Bearer ${ROOT_TOKEN}` },
			body: JSON.stringify({ name: "ada", password: "correct horse battery" }),
		});
		const userId = await signup.json();
		const start = await fetch(`${node.url}/public/services/hypha-login/start`);
		const { login_url, key } = (await start.json()) as { login_url: string; key: string };
		const page = await own.newPage();
		const errors: string[] = [];
		page.on("pageerror", (error) => errors.push(String(error)));
		page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
		await page.goto(login_url);
		expect(await page.textContent("#why")).toContain("A program waits for you");
		await page.fill("#name", "ada");
		await page.fill("#password", "wrong password");
		await page.click("button");
		await page.waitForSelector("text=Name or password is wrong.");
		await page.fill("#password", "correct horse battery");
		await page.click("button");
		await page.waitForSelector("text=You are logged in.");
		const check = await fetch(`${node.url}/public/services/hypha-login/check?key=${key}`);
		const token = (await check.json()) as string;
		const joined = await python.connect("logged-in", node.url, { token });
		expect(joined.user["id"]).toBe(userId);
		// What the browser itself says of the 401 is no error of the page.
		expect(errors.filter((text) => !text.includes("401"))).toEqual([]);
	});
});
