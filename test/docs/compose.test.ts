import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import { resolveConfig } from "../../cli/config.ts";
import { mycelogProgram } from "../../cli/program.ts";
import { TOPOLOGY_OPTIONS } from "../kit/topology.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const read = (file: string) => readFileSync(join(ROOT, file), "utf8");

interface Service {
	readonly image?: string;
	readonly build?: string;
	readonly environment?: Readonly<Record<string, string>>;
	readonly ports?: readonly string[];
	readonly volumes?: readonly string[];
	readonly healthcheck?: { readonly test: readonly string[] };
	readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
	readonly command?: readonly string[];
}

interface Instruction {
	readonly name: string;
	readonly rest: string;
}

/** Lines joined, comments left out. */
const instructions: readonly Instruction[] = read("Dockerfile")
	.replace(/^#.*\n/gm, "")
	.replace(/\\\n/g, " ")
	.split("\n")
	.filter(Boolean)
	.map((line) => ({ name: line.split(" ", 1)[0] as string, rest: line.slice(line.indexOf(" ") + 1) }));
const only = (name: string) => instructions.filter((instruction) => instruction.name === name);

const imageEnvironment = Object.fromEntries(
	only("ENV").flatMap(({ rest }) =>
		rest
			.trim()
			.split(/\s+/)
			.map((pair) => pair.split("=") as [string, string]),
	),
);

describe("compose.yaml", () => {
	let file: {
		readonly services: Readonly<Record<string, Service>>;
		readonly volumes: Readonly<Record<string, unknown>>;
		readonly configs: Readonly<Record<string, { readonly content: string }>>;
	};
	let services: Readonly<Record<string, Service>>;
	let nodes: readonly (readonly [string, Service])[];
	let volumes: readonly string[];

	beforeAll(() => {
		file = parse(read("compose.yaml"), { merge: true });
		services = file.services;
		volumes = Object.keys(file.volumes);
		nodes = Object.entries(services).filter(([, { build }]) => build);
	});

	const withDefaults = (text: string) => text.replace(/\$\{\w+:-(.*?)\}/g, "$1");

	/** What the process finds, with the secret that the file leaves to whoever starts it. */
	const environmentOf = ({ environment = {} }: Service) =>
		Object.fromEntries(
			Object.entries({ ...imageEnvironment, ...environment }).map(([name, value]) => [
				name,
				String(value)
					.replace(/^\$\{MYCELOG_JWT_SECRET:\?.*\}$/, "a secret from outside")
					.replace(/^.*$/, withDefaults),
			]),
		);

	test("every option of the three nodes is known and has a value it can take", () => {
		expect(nodes).toHaveLength(3);
		for (const [, node] of nodes) {
			expect(() => resolveConfig({ flags: {}, environment: environmentOf(node) })).not.toThrow();
		}
	});

	test("the nodes keep their log at the three brokers, and start when they are healthy", () => {
		const brokers = Object.entries(services).filter(([, { image }]) => image?.startsWith("apache/kafka:"));
		expect(brokers).toHaveLength(3);
		const voters = brokers[0]?.[1].environment?.["KAFKA_CONTROLLER_QUORUM_VOTERS"];
		for (const [i, [name, { environment, healthcheck }]] of brokers.entries()) {
			expect(environment?.["KAFKA_ADVERTISED_LISTENERS"]).toBe(`PLAINTEXT://${name}:9092`);
			expect(environment?.["KAFKA_NODE_ID"]).toBe(String(i + 1));
			expect(environment?.["KAFKA_CONTROLLER_QUORUM_VOTERS"]).toBe(voters);
			expect(voters?.split(",")[i]).toBe(`${i + 1}@${name}:9093`);
			expect(healthcheck?.test.length).toBeGreaterThan(1);
		}
		for (const [, node] of nodes) {
			const { config } = resolveConfig({ flags: {}, environment: environmentOf(node) });
			expect(config.kafkaUri).toEqual(brokers.map(([name]) => `${name}:9092`));
			for (const [name] of brokers) expect(node.depends_on?.[name]?.condition).toBe("service_healthy");
		}
	});

	test("the nodes share the token secret from outside, and each has its own id and volume", () => {
		const secrets = nodes.map(([, { environment }]) => environment?.["MYCELOG_JWT_SECRET"]);
		expect(new Set(secrets).size).toBe(1);
		expect(secrets[0]).toMatch(/^\$\{MYCELOG_JWT_SECRET:\?/);
		const ids = nodes.map(([, node]) => node.environment?.["MYCELOG_NODE_ID"]);
		const own = nodes.map(([, node]) => node.volumes?.[0]?.split(":")[0]);
		expect(new Set(ids).size).toBe(3);
		expect(new Set(own).size).toBe(3);
		for (const volume of own) expect(volumes).toContain(volume);
	});

	test("the proxy sends clients to every node, by readiness, and is the address that nodes tell", () => {
		const { proxy } = services;
		const port = withDefaults(proxy?.ports?.[0] ?? "");
		const config = file.configs["proxy"]?.content ?? "";
		expect(config).toContain("httpchk GET /health/readiness");
		for (const [name, node] of nodes) {
			const { config: resolved } = resolveConfig({ flags: {}, environment: environmentOf(node) });
			expect(config).toMatch(new RegExp(`^\\s*server ${name} ${name}:${resolved.port} check`, "m"));
			expect(node.volumes?.[0]?.split(":")[1]).toBe(resolved.dataDir);
			expect(`${resolved.publicUrl}:9527`).toBe(`http://localhost:${port}`);
		}
	});

	test("the topology of the tests has the same options", () => {
		for (const [, node] of nodes) {
			for (const [flag, value] of TOPOLOGY_OPTIONS) {
				const variable = `MYCELOG_${flag.slice(2).replaceAll("-", "_").toUpperCase()}`;
				expect(node.environment?.[variable], flag).toBe(value);
			}
		}
	});
});

describe("the Dockerfile", () => {
	const copied = only("COPY").filter(({ rest }) => !rest.startsWith("--from="));
	const sources = new Set(copied.flatMap(({ rest }) => rest.split(" ").slice(0, -1)));

	test("copies paths that exist and that .dockerignore lets through", () => {
		const allowed = new Set([...read(".dockerignore").matchAll(/^!(.+)$/gm)].map(([, path]) => path));
		expect(read(".dockerignore")).toMatch(/^\*$/m);
		for (const source of sources) {
			expect(existsSync(join(ROOT, source)), source).toBe(true);
			expect([...allowed], source).toContain(source);
		}
		expect(allowed).toEqual(sources);
	});

	test("copies every folder the build reads, and starts a file the build writes", () => {
		const { include, compilerOptions } = JSON.parse(read("tsconfig.build.json"));
		for (const folder of include) expect([...sources]).toContain(folder);
		const [, entry] = JSON.parse(only("ENTRYPOINT")[0]?.rest as string) as string[];
		const source = (entry as string).replace(`${compilerOptions.outDir}/`, "").replace(/\.js$/, ".ts");
		expect(existsSync(join(ROOT, source)), source).toBe(true);
		expect(JSON.parse(read("package.json")).bin.mycelog).toBe(entry);
	});

	test("starts a command that exists, with options that are known, on every interface", () => {
		const [command] = JSON.parse(only("CMD").at(-1)?.rest as string) as string[];
		const hooks = { environment: {}, resolved: () => {}, exit: () => {} };
		expect(mycelogProgram(hooks).commands.map((known) => known.name())).toContain(command);
		expect(resolveConfig({ flags: {}, environment: imageEnvironment }).config.host).toBe("0.0.0.0");
	});

	test("asks for readiness, runs as a user of its own and with production dependencies only", () => {
		expect(only("HEALTHCHECK")[0]?.rest).toContain("/health/readiness");
		expect(only("USER").map(({ rest }) => rest)).toEqual(["node"]);
		const installs = only("RUN").filter(({ rest }) => rest.startsWith("npm ci"));
		expect(installs.map(({ rest }) => rest)).toEqual(["npm ci", "npm ci --omit=dev"]);
		const modules = only("COPY").find(({ rest }) => rest.includes("node_modules"));
		expect(modules?.rest).toMatch(/^--from=dependencies /);
	});

	test("has a health check that follows what the node answers", async () => {
		const [program, ...args] = JSON.parse(only("HEALTHCHECK")[0]?.rest.replace(/^.*?CMD /, "") as string);
		expect(program).toBe("node");
		const asked: (string | undefined)[] = [];
		const server = createServer((request, response) => {
			asked.push(request.url);
			response.writeHead(request.url?.startsWith("/down") ? 503 : 200).end();
		});
		await once(server.listen(0, "127.0.0.1"), "listening");
		const port = String((server.address() as AddressInfo).port);
		const check = async (basePath?: string) => {
			const env = { MYCELOG_PORT: port, ...(basePath ? { MYCELOG_BASE_PATH: basePath } : undefined) };
			const [code] = await once(spawn(process.execPath, args, { env }), "exit");
			return code;
		};
		expect([await check(), await check("/up"), await check("/down")]).toEqual([0, 0, 1]);
		expect(asked).toEqual(["/health/readiness", "/up/health/readiness", "/down/health/readiness"]);
		await once(server.close(), "close");
		expect(await check()).toBe(1);
	});

	test("is built on a Node that the package supports", () => {
		const { engines } = JSON.parse(read("package.json"));
		const majors = only("FROM").map(({ rest }) => /^node:(\d+)-/.exec(rest)?.[1]);
		expect(new Set(majors)).toEqual(new Set([/\d+/.exec(engines.node)?.[0]]));
	});
});
