/**
 * What a person sees when a node is ready: where it is, where its data lies, and code that works against it.
 */
import { resolve } from "node:path";
import type { Config } from "./options.ts";
import { VERSION } from "./version.ts";

/** Addresses that mean "every interface" and that nobody can connect to. */
const WILDCARDS: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "[::1]" };

export function localUrl({ host, basePath }: Config, port: number): string {
	const name = WILDCARDS[host] ?? (host.includes(":") ? `[${host}]` : host);
	return `http://${name}:${port}${basePath}`;
}

export function banner(config: Config, port: number, nodeId: string): string {
	const url = localUrl(config, port);
	const { kafkaUri, prefix, durability, publicUrl } = config;
	const log = kafkaUri
		? `Kafka at ${kafkaUri.join(", ")}, topics ${prefix}.*`
		: `embedded (SQLite), durable against ${durability === "power" ? "power cuts" : "the death of the process"}`;
	const rows = [
		["version", VERSION],
		["node", nodeId],
		["log", log],
		["data", resolve(config.dataDir)],
		...(publicUrl ? [["public", publicUrl]] : []),
		["health", `${url}/health/readiness`],
		["metrics", `${url}/metrics`],
	];
	return [
		`Mycelog is ready at ${url}`,
		...rows.map(([name, value]) => `  ${(name as string).padEnd(8)} ${value}`),
		"",
		"Python (pip install hypha-rpc):",
		"",
		indent(pythonSnippet(publicUrl ?? url)),
		"",
		"JavaScript (npm install hypha-rpc):",
		"",
		indent(javascriptSnippet(publicUrl ?? url)),
		"",
	].join("\n");
}

export function pythonSnippet(url: string): string {
	return `import asyncio
from hypha_rpc import connect_to_server

async def main():
    server = await connect_to_server({"server_url": "${url}"})
    info = await server.register_service(
        {"id": "hello", "config": {"visibility": "public"}, "greet": lambda name: f"Hello {name}!"}
    )
    service = await server.get_service(info["id"])
    print(info["id"], await service.greet("Python"))
    await server.disconnect()

asyncio.run(main())`;
}

export function javascriptSnippet(url: string): string {
	return `import { connectToServer } from "hypha-rpc";

const server = await connectToServer({ server_url: "${url}" });
const info = await server.registerService({
  id: "hello", config: { visibility: "public" }, greet: (name) => \`Hello \${name}!\`,
});
const service = await server.getService(info.id);
console.log(info.id, await service.greet("JavaScript"));
await server.disconnect();`;
}

function indent(code: string): string {
	return code.replace(/^(?=.)/gm, "  ");
}
