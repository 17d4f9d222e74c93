/**
 * The public surface as pages: HTML of everything that the package exports, made of its declarations by TypeDoc. A link
 * that leads nowhere and a type that nobody exports are errors. `npm run docs:api` writes docs/typedoc/html.
 */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { ENTRY_POINTS, settingsFor, withDeclarations } from "../declarations.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));

/** What only types of the runtime's own name; those who embed it meet them by inference, or not at all. */
const NOT_EXPORTED = [
	"Actor",
	"EmbeddedActorsParts",
	"EntryFilter",
	"EntryRange",
	"IndexedMessage",
	"IndexedRecord",
	"IndexEntry",
	"IndexState",
	"KAFKA_CLIENTS",
	"Keyframe",
	"LiveNodes",
	"MachineOf",
	"NodeName",
	"NodeQuestions",
	"NodeStatus",
	"OutsideWork",
	"Partition",
	"ProjectionParts",
	"Sendable",
	"SimulatedProcess",
	"Stall",
	"Tracing",
	"VerificationBase",
];

/** Pages of what is built in `dist`, into a directory. Rejects with TypeDoc's words. */
export async function writePages(dist: string, out: string): Promise<void> {
	const work = mkdtempSync(join(tmpdir(), "mycelog-typedoc-"));
	// By the names under which users import them.
	const entryPoints = Object.entries(ENTRY_POINTS).map(([name, file]) => {
		const entry = join(dist, "names", name === "mycelog" ? "mycelog.d.ts" : `mycelog/${name}.d.ts`);
		mkdirSync(dirname(entry), { recursive: true });
		writeFileSync(entry, `export * from "${join(dist, file).replace(/\.d\.ts$/, ".js")}";\n`);
		return entry;
	});
	const tsconfig = join(work, "tsconfig.json");
	writeFileSync(tsconfig, JSON.stringify(settingsFor(dist)));
	const options = join(work, "typedoc.json");
	writeFileSync(
		options,
		JSON.stringify({
			entryPoints,
			tsconfig,
			out,
			name: "Mycelog",
			readme: "none",
			disableSources: true,
			skipErrorChecking: true,
			excludePrivate: true,
			excludeExternals: true,
			intentionallyNotExported: NOT_EXPORTED,
			treatWarningsAsErrors: true,
		}),
	);
	try {
		const program = join(HERE, "node_modules/typedoc/bin/typedoc");
		await promisify(execFile)(process.execPath, [program, "--options", options, "--logLevel", "Warn"]);
	} catch (error) {
		const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string };
		throw new Error(`TypeDoc is not content:\n${stdout}${stderr}`, { cause: error });
	} finally {
		rmSync(work, { recursive: true });
	}
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
	await withDeclarations((dist) => writePages(dist, join(HERE, "html")));
}
