/** What of a Hypha's store is taken over, and what stays behind for which reason. */
import { SignJWT } from "jose";
import { expect, test } from "vitest";
import { type Plan, planImport } from "../../cli/hypha-plan.ts";
import type { HyphaService, HyphaStore } from "../../cli/hypha-store.ts";

const OPTIONS = { overwrite: false, waitForClientsMs: 1_000 };
const EMPTY: HyphaStore = {
	version: "0.21.137",
	workspaces: [],
	services: [],
	revokedTokens: [],
	damaged: [],
};
const LAB = { id: "lab-images", persistent: true, owners: ["ada"] };

function builtIn(peer: string, user: Record<string, unknown> = {}): HyphaService {
	const scope = { current_workspace: "lab-images", workspaces: { "lab-images": "rw", "*": "a" } };
	const created_by = { id: "child", roles: ["admin"], scope, parent: "root", ...user };
	return { id: `${peer}:built-in`, record: { config: { visibility: "public", created_by } } };
}
const service = (id: string, characters = 0): HyphaService => {
	return { id, record: { config: { visibility: "public" }, docs: "x".repeat(characters) } };
};
const names = ({ items }: Plan) => items.map(({ kind, name }) => `${kind} ${name}`);
const reasons = ({ left }: Plan) => Object.fromEntries(left.map(({ name, why }) => [name, why]));

test("clients come with their services and their users, who hold no more than their tokens name", () => {
	const services = [builtIn("lab-images/scope"), service("lab-images/scope:images")];
	const plan = planImport({ ...EMPTY, workspaces: [LAB], services }, OPTIONS);
	expect(names(plan)).toEqual(["workspace lab-images", "client lab-images/scope"]);
	const [event, ...more] = plan.items[1]?.events ?? [];
	expect(more).toEqual([]);
	expect(Object.keys(event?.["services"] as object)).toEqual(["built-in", "images"]);
	expect(event).toMatchObject({
		client: "scope",
		resumeWindowMs: 1_000,
		user: { id: "child", roles: [], parent: "root", scope: { workspaces: { "lab-images": "rw" } } },
	});
	expect(JSON.stringify(event?.["user"])).not.toContain('"*"');
});

test("more services than a record may hold come in several messages", () => {
	const many = Array.from({ length: 5 }, (_, i) => service(`lab-images/scope:s${i}`, 150_000));
	const services = [builtIn("lab-images/scope"), ...many];
	const { items } = planImport({ ...EMPTY, workspaces: [LAB], services }, OPTIONS);
	const events = items[1]?.events ?? [];
	expect(events.length).toBeGreaterThan(1);
	expect(events.flatMap((event) => Object.keys(event["services"] as object))).toEqual([
		"built-in",
		...many.map((_, i) => `s${i}`),
	]);
});

test("what every server makes, what is temporary, anonymous, damaged or badly named stays behind, each with its reason", () => {
	const workspaces = [
		{ id: "public", persistent: true },
		{ id: "ws-user-anonymouz-x" },
		{ id: "brief-one" },
		{ id: "Bad Name", persistent: true },
	];
	const services = [
		service("lab-images/unknown:x"),
		builtIn("lab-images/visitor", { is_anonymous: true }),
		builtIn("lab-images/a b"),
		builtIn("elsewhere-ws/lost"),
		builtIn("ws-user-root/server"),
		service("ws-user-root/server:admin-utils"),
	];
	const plan = planImport({ ...EMPTY, workspaces, services, damaged: ["services:broken"] }, OPTIONS);
	expect(names(plan)).toEqual([]);
	expect(reasons(plan)).toMatchObject({
		public: "every server makes its own",
		"ws-user-anonymouz-x": "of an anonymous user, made again when it comes",
		"brief-one": "temporary, and nobody is taken over with it",
		"Bad Name": expect.stringContaining("Invalid workspace name"),
		"lab-images/unknown": "its user is not known",
		"lab-images/visitor": "anonymous: it comes by itself",
		"lab-images/a b": expect.stringContaining("Invalid client_id"),
		"elsewhere-ws/lost": "its workspace is not taken over",
		"ws-user-root/server": "a part of the server itself",
		"services:broken": "cannot be read",
	});
});

test("a temporary workspace is taken over with its clients, and without them is not", () => {
	const workspaces = [{ id: "brief-one", persistent: false }];
	const store = { ...EMPTY, workspaces, services: [builtIn("brief-one/camera")] };
	expect(names(planImport(store, OPTIONS))).toEqual(["workspace brief-one", "client brief-one/camera"]);
	expect(names(planImport(store, { ...OPTIONS, waitForClientsMs: 0 }))).toEqual([]);
});

test("a revocation goes where its token was good, and never shows the token", async () => {
	const sign = (scope: string) =>
		new SignJWT({ scope })
			.setProtectedHeader({ alg: "HS256" })
			.setExpirationTime(2_000)
			.sign(new Uint8Array(32));
	const bound = await sign("ws:lab-images#r ws:lab-other#a wid:lab-images");
	const free = await sign("ws:lab-images#r ws:lab-other#a");
	const plan = planImport({ ...EMPTY, revokedTokens: [bound, free, "no token"] }, OPTIONS);
	expect(plan.items.map(({ workspace }) => workspace)).toEqual(["lab-images", "lab-images", "lab-other"]);
	expect(plan.items[0]?.events).toEqual([
		{ type: "token.revoke", hash: expect.stringMatching(/^[\w-]{43}$/), expiresAt: 2_000_000 },
	]);
	expect(plan.left).toHaveLength(1);
	for (const token of [bound, free]) expect(JSON.stringify([plan.left, names(plan)])).not.toContain(token);
});
