/** The page docs/reference/hypha-compatibility.md, made of what a run of the compatibility cases has shown. */
import type { Case } from "./compatibility.ts";

export interface Passed {
	readonly method: string;
	readonly client: string;
	readonly setup: string;
}

export interface Run {
	readonly cases: readonly Case[];
	readonly clients: readonly string[];
	readonly setups: readonly string[];
	readonly passed: readonly Passed[];
}

export function compatibilityPage({ cases, clients, setups, passed }: Run): string {
	const cell = (method: string, client: string) => {
		const on = setups.filter((setup) =>
			passed.some((one) => one.method === method && one.client === client && one.setup === setup),
		);
		return on.length === setups.length ? "passed" : on.length === 0 ? "failed" : `only on ${on.join(", ")}`;
	};
	const rows = cases.map(({ name, hypha }) => {
		const answers = clients.map((client) => cell(name, client));
		return `| ${code(name)} | ${answers.join(" | ")} | ${hypha ? "differs" : "same"} |`;
	});
	const differences = cases.flatMap(({ name, hypha }) => (hypha ? [`- ${code(name)}: ${hypha.why}`] : []));
	return `# Compatibility with Hypha

Made by the test run (\`test/acceptance/compatibility.test.ts\`); do not edit. Each row is a method of the workspace
manager, or what users do with the clients, and what it must come to. *passed*: the unmodified client got that on each of
${setups.join("; ")}. The last column says what a real Hypha 0.21.135 answers to the same calls of the same clients
(\`test/seed/real-hypha.chaos.ts\`).

Clients: \`hypha-rpc\` 0.21.47 from PyPI (asynchronous and synchronous API), 0.21.40 from npm on Node and in a page
of a headless Chromium.

| Method or use | ${clients.join(" | ")} | Hypha |
| --- |${clients.map(() => " --- |").join("")} --- |
${rows.join("\n")}

## Where a real Hypha answers otherwise

${differences.join("\n")}

What is not offered at all stands in [protocol](protocol.md) and [HTTP](http.md).
`;
}

/** Names of methods are code, words about them are not. */
function code(name: string): string {
	return name.replaceAll(/\b[a-z]+(_[a-z]+)+\b/g, "`$&`");
}
