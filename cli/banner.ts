/**
 * What a person sees when a node is ready: where it is, where its data lies, and code that works against it.
 */
import { resolve } from "node:path";
import { javascriptSnippet, pythonSnippet } from "../gateway/front-page.ts";
import type { Config } from "./options.ts";
import { VERSION } from "./version.ts";

/** Addresses that mean "every interface" and that nobody can connect to. */
const WILDCARDS: Readonly<Record<string, string>> = { "0.0.0.0": "127.0.0.1", "::": "[::1]" };

function localUrl({ host, basePath }: Config, port: number): string {
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
		["console", `${url}/operator/ (asks for the root token, MYCELOG_ROOT_TOKEN)`],
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

function indent(code: string): string {
	return code.replace(/^(?=.)/gm, "  ");
}
