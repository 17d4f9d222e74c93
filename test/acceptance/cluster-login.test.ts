/** A login over several nodes: each step at another one, as a load balancer would have it. */
import { expect, test } from "vitest";
import { ClientProcess } from "../kit/client-process.ts";
import { NodeProcess, ROOT_TOKEN } from "../kit/node-process.ts";

test("an account made at one node logs in at another, for a program that waits at the first", async () => {
	const nodes = (await NodeProcess.startCluster(2)) as [NodeProcess, NodeProcess];
	const [first, second] = nodes;
	const client = ClientProcess.javascript();
	try {
		const password = "correct horse battery";
		const made = await fetch(`${first.url}/public/services/hypha-login/signup`, {
			method: "POST",
			headers: { "content-type": "application/json", authorization: `Bearer ${ROOT_TOKEN}` },
			body: JSON.stringify({ name: "ada", password }),
		});
		const userId = await made.json();
		const token = await client.run<string>("log_in", {
			options: { server_url: first.url, login_timeout: 60 },
			logged_in: { url: `${second.url}/public/apps/hypha-login/`, fields: { name: "ada", password } },
		});
		for (const node of nodes) {
			const joined = await client.connect(`at-${node.url}`.replaceAll(/[:/]+/g, "-"), node.url, { token });
			expect(joined.user["id"]).toBe(userId);
		}
	} finally {
		await client.stop();
		await Promise.all(nodes.map((node) => node.remove()));
	}
});
