/** What surrounds the calls over HTTP: limits of requests and of bad tokens, parts that are not offered, the description. */
import { Validator } from "@seriousme/openapi-schema-validator";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { FAILURES_AT_ONCE_MAX } from "../../gateway/caller-limits.ts";
import { BURST_SECONDS } from "../../gateway/rate-limit.ts";
import { metric } from "../kit/metric.ts";
import { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const REQUESTS_PER_SECOND = 1;

describe("HTTP", () => {
	let node: NodeProcess;
	let team: TestWorkspace;
	/** Every test has an address of its own, as one proxy before the node would say it. */
	let address = 0;

	beforeAll(async () => {
		const rate = String(REQUESTS_PER_SECOND);
		node = await NodeProcess.start("sqlite", ["--http-requests-per-second-max", rate, "--proxy-hops", "1"]);
		team = await makeWorkspace(node, "edges");
	});
	afterAll(() => node?.remove());

	const get = (path: string, from: number, headers: Record<string, string> = {}) =>
		fetch(`${node.url}/${path}`, { headers: { "x-forwarded-for": `10.0.0.${from}`, ...headers } });
	const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
	const flood = (from: number, headers: Record<string, string> = {}) =>
		Promise.all(
			Array.from({ length: 30 + BURST_SECONDS * REQUESTS_PER_SECOND }, () =>
				get("public/services/", from, headers),
			),
		);

	test("of one address without a token, or of one user, is answered 429 above the rate; others are served, health always", async () => {
		const [mine, neighbour] = [++address, ++address];
		const answers = await flood(mine);
		const refused = answers.filter(({ status }) => status === 429);
		expect(refused.length).toBeGreaterThan(0);
		expect(answers.filter(({ status }) => status === 200).length).toBeGreaterThanOrEqual(
			BURST_SECONDS * REQUESTS_PER_SECOND,
		);
		expect(Number(refused[0]?.headers.get("retry-after"))).toBeGreaterThanOrEqual(1);
		expect(await refused[0]?.json()).toEqual({
			success: false,
			detail: "Rate limit exceeded. Please slow down.",
		});
		expect((await get("public/services/", neighbour)).status).toBe(200);
		expect((await get("public/services/", mine, bearer(team.token))).status).toBe(200);
		const statuses = (await flood(mine, bearer(team.token))).map(({ status }) => status);
		expect(statuses).toContain(429);
		expect((await get("health/readiness", mine)).status).toBe(200);
		expect(
			await metric(node.url, "mycelog_gateway_refused_requests_total", { reason: "rate-address" }),
		).toBeGreaterThan(0);
		expect(
			await metric(node.url, "mycelog_gateway_refused_requests_total", { reason: "rate-user" }),
		).toBeGreaterThan(0);
	});

	test("with a bad token is 401 as often as one may err, then 429, and a good token of the same address goes on", async () => {
		const from = ++address;
		const statuses: number[] = [];
		// On a slow machine more may be looked at meanwhile.
		for (let i = 0; i < 10 * FAILURES_AT_ONCE_MAX && statuses.at(-1) !== 429; i++) {
			statuses.push((await get("public/services/", from, bearer(`bad ${i}`))).status);
		}
		expect(statuses.slice(0, FAILURES_AT_ONCE_MAX)).toEqual(Array(FAILURES_AT_ONCE_MAX).fill(401));
		expect(statuses.at(-1)).toBe(429);
		const other = await makeWorkspace(node, "good");
		expect((await get("public/services/", from, bearer(other.token))).status).toBe(200);
	});

	test("and WebSocket have one limit of bad tokens an address: past it there is one answer, and good tokens go on", async () => {
		const from = ++address;
		const headers = { "x-forwarded-for": `10.0.0.${from}` };
		const join = (token: string) => {
			const who = { clientId: `guess-${token.length}`, workspace: team.id, token };
			return RawClient.connect(node.url, who, headers);
		};
		const refusals: string[] = [];
		for (let i = 0; i < 10 * FAILURES_AT_ONCE_MAX && !refusals.at(-1)?.startsWith("Rate limit"); i++) {
			const refusal = await join(`bad ${i}`).catch((error) => error);
			expect(refusal.close.code).toBe(1008);
			refusals.push(refusal.message);
		}
		const first = refusals.slice(0, FAILURES_AT_ONCE_MAX);
		expect(first.every((text) => text.startsWith("Authentication error"))).toBe(true);
		expect(refusals.at(-1)).toBe("Rate limit exceeded. Please slow down.");
		expect((await get("public/services/", from, bearer("bad"))).status).toBe(429);
		const outcome = { outcome: "too-often" };
		expect(await metric(node.url, "mycelog_gateway_handshakes_total", outcome)).toBeGreaterThan(0);
		const neighbour = { "x-forwarded-for": `10.0.0.${++address}` };
		const elsewhere = RawClient.connect(node.url, { clientId: "guess", token: "bad" }, neighbour);
		await expect(elsewhere).rejects.toThrow(/Authentication error/);
		const good = await join(team.token);
		expect(await good.manage("echo", "in")).toBe("in");
		await good.leave();
	});

	test.each([
		"apps/x/",
		"artifacts",
		"artifacts/a/files/b",
		"files/x",
		"git/x",
		"vectors/x",
		"mcp/x",
		"a2a/x",
	])("of %s says that it is not offered", async (path) => {
		const answer = await fetch(`${node.url}/${team.id}/${path}`, { method: "PUT", body: "x" });
		expect(answer.status).toBe(501);
		expect(await answer.json()).toEqual({
			success: false,
			detail: expect.stringContaining("not offered by this server"),
		});
	});

	test("and RPC say that services of Hypha which are not offered are not, instead of that nothing was found", async () => {
		const client = await RawClient.connect(node.url, {
			clientId: "asking",
			workspace: team.id,
			token: team.token,
		});
		for (const service of ["artifact-manager", "server-apps", "s3-storage"]) {
			const words = new RegExp(`NotImplementedError: the service public/${service} is not offered`);
			await expect(client.manage("get_service", `public/${service}`)).rejects.toThrow(words);
			const answer = await get(`public/services/${service}/list`, ++address);
			expect([answer.status, (await answer.json()) as unknown]).toEqual([
				501,
				{ success: false, detail: expect.stringMatching(words) },
			]);
		}
		await expect(client.manage("get_service", "public/other")).rejects.toThrow(/Service not found/);
		await client.leave();
	});

	test("gives pages the published client, and says where the server is and who asks", async () => {
		for (const name of ["hypha-rpc-websocket.mjs", "hypha-rpc-websocket.js"]) {
			const script = await get(`assets/${name}`, ++address, { origin: "https://example.org" });
			expect(script.headers.get("content-type")).toBe("application/javascript");
			expect(script.headers.get("access-control-allow-origin")).toBe("https://example.org");
			expect(await script.text()).toContain("connectToServer");
		}
		const other = await makeWorkspace(node, "config");
		const config = await (await get("assets/config.json", ++address, bearer(other.token))).json();
		expect(config).toMatchObject({
			public_base_url: node.url,
			user: { is_anonymous: false, scope: { current_workspace: other.id } },
		});
	});

	test("shows at its root how to connect, with links that lead somewhere", async () => {
		const page = await get("", ++address);
		expect(page.headers.get("content-type")).toBe("text/html; charset=utf-8");
		const text = await page.text();
		expect(text).toContain(`connectToServer({ server_url: &quot;${node.url}&quot; })`);
		const links = [...text.matchAll(/href="([^"]+)"/g)].map(([, link]) => link as string);
		const answers = await Promise.all(links.map(async (link) => [link, (await fetch(link)).status]));
		const all = ["operator/", "login", "openapi.json", "health", "metrics"];
		expect(answers).toEqual(all.map((path) => [`${node.url}/${path}`, 200]));
	});

	test("describes its routes in OpenAPI that a validator accepts, each with the paths that are served", async () => {
		const description = (await (await get("openapi.json", ++address)).json()) as Record<string, never>;
		expect(await new Validator().validate(structuredClone(description))).toEqual({ valid: true });
		const paths = Object.keys(description["paths"] as never);
		expect(paths).toEqual(
			expect.arrayContaining([
				"/",
				"/assets/config.json",
				"/health/readiness",
				"/metrics",
				"/openapi.json",
				"/public/apps/hypha-login/",
				"/rpc",
				"/{workspace}/info",
				"/{workspace}/services/",
				"/{workspace}/services/{service}",
				"/{workspace}/services/{service}/{function}",
			]),
		);
		expect((description["servers"] as never as { url: string }[])[0]?.url).toBe(node.url);
	});
});
