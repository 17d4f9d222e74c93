/** The clients' HTTP transport over two nodes behind a balancer that sends every connection to the next one. */
import { encode } from "@msgpack/msgpack";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";
import { RoundRobin } from "../kit/round-robin.ts";

describe("clients over HTTP, whose POSTs reach any node", () => {
	let nodes: NodeProcess[];
	let balancer: RoundRobin;
	let team: TestWorkspace;
	let elsewhere: TestWorkspace;

	beforeAll(async () => {
		nodes = await NodeProcess.startCluster(2);
		team = await makeWorkspace(nodes[0] as NodeProcess, "spread");
		elsewhere = await makeWorkspace(nodes[0] as NodeProcess, "elsewhere");
		balancer = await RoundRobin.before(nodes.map(({ url }) => url));
	});
	afterAll(async () => {
		await balancer?.close();
		await Promise.all((nodes ?? []).map((node) => node.remove()));
	});

	test.each([
		["python", ClientProcess.python],
		["javascript", ClientProcess.javascript],
	] as const)("serve and call as over one node (%s)", async (language, start) => {
		const client = start();
		const member = { workspace: team.id, token: team.token, transport: "http" };
		const [server, user] = [`${language}-server`, `${language}-user`];
		await client.connect(server, balancer.url, member);
		await client.run("register", { name: server, id: language });
		await client.connect(user, balancer.url, member);
		await client.run("find", { name: user, id: language });
		const sums = Array.from({ length: 50 }, (_, i) => client.call(user, language, "add", [i, 1]));
		expect(await Promise.all(sums)).toEqual(sums.map((_, i) => i + 1));
		const visited = await client.run("visit", { name: user, id: language, items: [1, 2, 3] });
		expect(visited).toEqual({ result: [10, 20, 30], seen: [1, 2, 3] });
		await client.stop();
	});

	test("a POST at another node is the stream's own there too: its token's, and nobody else's", async () => {
		const [first, second] = nodes as [NodeProcess, NodeProcess];
		const listener = await RawClient.connect(first.url, {
			clientId: "listener",
			workspace: team.id,
			token: team.token,
		});
		const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
		const stream = await fetch(`${first.url}/rpc?client_id=split`, { headers: bearer(team.token) });
		const reader = (stream.body as ReadableStream<Uint8Array>).getReader();
		await reader.read();
		const post = (client: string, data: string, headers: Record<string, string>) =>
			fetch(`${second.url}/rpc?client_id=${client}&workspace=${team.id}`, {
				method: "POST",
				headers,
				body: encode({ type: "notice", to: "listener", data }),
			});
		const statuses = [
			await post("split", "nobody's", {}),
			await post("split", "bad", bearer("nonsense")),
			await post("split", "another's", bearer(elsewhere.token)),
			await post("listener", "of a socket", bearer(team.token)),
			await post("nobody", "to nobody", bearer(team.token)),
			await post("split", "own", bearer(team.token)),
		].map(({ status }) => status);
		expect(statuses).toEqual([403, 403, 403, 403, 400, 200]);
		await listener.frames.first(({ main }) => main["data"] === "own", "the stream's own");
		const heard = listener.frames.all.filter(({ main }) => main["type"] === "notice");
		expect(heard.map(({ main }) => [main["from"], main["data"]])).toEqual([[`${team.id}/split`, "own"]]);
		await reader.cancel();
		await listener.leave();
	});
});
