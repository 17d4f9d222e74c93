/**
 * The page docs/reference/errors.md, made from the error catalogue. Run this file (`npm run pages`) to write it; a
 * test keeps the page equal to the catalogue.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ERROR_CATALOGUE } from "../persistence/errors.ts";

export const ERRORS_PAGE = fileURLToPath(new URL("./reference/errors.md", import.meta.url));

type Entry = [code: string, { readonly meaning: string; readonly retryable: boolean; readonly fix: string }];

const AREAS: Readonly<Record<string, string>> = {
	config: "Configuration: before a node listens",
	import: "Taking over from another server",
	log: "The log",
	snapshot: "Snapshots",
	backup: "Backup and restore",
	actor: "Actors",
	recovery: "Recovery by operators",
	projection: "Projections (read models)",
	event: "Events between embedders",
	operator: "Commands to a running node",
	node: "Nodes",
	gateway: "The gateway",
};

/** Throws where the catalogue has an area without a title here. */
export function errorsPage(): string {
	const byArea = Map.groupBy(Object.entries(ERROR_CATALOGUE), ([code]) => code.slice(0, code.indexOf(".")));
	const unknown = [...byArea.keys()].filter((area) => !Object.hasOwn(AREAS, area));
	if (unknown.length > 0) throw new Error(`no title in docs/errors-page.ts for: ${unknown.join(", ")}`);
	return `# Errors

Made from \`persistence/errors.ts\` by \`npm run pages\`; do not edit.

Every error of Mycelog is a \`MycelogError\` with a \`code\` from this page, a message with the names and numbers of
the case, and \`retryable\`: whether the same call may succeed later without a change by the caller. The command line
prints message, fix and code. Codes are stable; messages are not.

What an *actor* answers in its own words (permission denied, service not found) is no \`MycelogError\`: it comes as a
\`RefusedError\` to embedders and as the text of a rejected call to Hypha clients, in the words upstream's users know.
${Object.entries(AREAS)
	.map(([area, title]) => section(title, byArea.get(area) ?? []))
	.join("")}`;
}

function section(title: string, entries: readonly Entry[]): string {
	const rows = entries.map(
		([code, { meaning, retryable, fix }]) =>
			`| \`${code}\` | ${meaning} | ${retryable ? "yes" : "no"} | ${fix.replaceAll("|", "\\|")} |`,
	);
	return `
## ${title}

| Code | Meaning | Retryable | What to do |
| --- | --- | --- | --- |
${rows.join("\n")}
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(ERRORS_PAGE, errorsPage());
