/**
 * The public surface as text: for each entry point of the package a report of what it exports, made of its declarations by
 * API Extractor. Owns what counts as an error; the reports lie in docs/reference/api, and a test holds them against the
 * code. `npm run api` writes them anew.
 */
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { CompilerState, Extractor, ExtractorConfig, type ExtractorMessage } from "@microsoft/api-extractor";
import { ENTRY_POINTS, settingsFor, withDeclarations } from "./declarations.ts";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
export const REPORTS = join(ROOT, "docs/reference/api");
export const REPORT_FILES = Object.keys(ENTRY_POINTS).map((name) => `${name}.api.md`);

/** Reports of what is built in `dist`, into a directory. Gives what is wrong with the declarations, a line each. */
export function writeReports(dist: string, directory: string): readonly string[] {
	mkdirSync(directory, { recursive: true });
	const temporary = mkdtempSync(join(tmpdir(), "mycelog-api-"));
	const configs = Object.entries(ENTRY_POINTS).map(([name, file]) =>
		ExtractorConfig.prepare({
			configObjectFullPath: undefined,
			packageJsonFullPath: join(ROOT, "package.json"),
			configObject: {
				projectFolder: ROOT,
				mainEntryPointFilePath: join(dist, file),
				newlineKind: "lf",
				compiler: { overrideTsconfig: settingsFor(dist) },
				apiReport: {
					enabled: true,
					reportFolder: directory,
					reportTempFolder: temporary,
					reportFileName: name,
				},
				docModel: { enabled: false },
				dtsRollup: { enabled: false },
				tsdocMetadata: { enabled: false },
				messages: MESSAGES,
			},
		} as never),
	);
	const [first, ...others] = configs as [ExtractorConfig, ...ExtractorConfig[]];
	const compilerState = CompilerState.create(first, {
		additionalEntryPoints: others.map(({ mainEntryPointFilePath }) => mainEntryPointFilePath),
	});
	const problems = new Set<string>();
	const messageCallback = (message: ExtractorMessage) => {
		message.handled = true;
		if (message.logLevel !== "error" || speaksForItself(message)) return;
		const { text, sourceFilePath: file = dist, sourceFileLine, messageId } = message;
		problems.add(`${relative(dist, file)}:${sourceFileLine ?? ""}: ${text} (${messageId})`);
	};
	for (const config of configs)
		Extractor.invoke(config, { localBuild: true, compilerState, messageCallback });
	rmSync(temporary, { recursive: true });
	return [...problems];
}

const MESSAGES = {
	compilerMessageReporting: { default: { logLevel: "error" } },
	extractorMessageReporting: {
		default: { logLevel: "error" },
		"ae-missing-release-tag": { logLevel: "none" },
		// Types of another entry point are imported from there; that none is exported nowhere, TypeDoc finds.
		"ae-forgotten-export": { logLevel: "none" },
		// A switch may be one that nobody asks how it stands.
		"ae-missing-getter": { logLevel: "none" },
		"ae-undocumented": { logLevel: "error", addToApiReportFile: false },
	},
	tsdocMessageReporting: {
		default: { logLevel: "error" },
		// Text is plain: nobody writes HTML, and `<` is a sign for less.
		"tsdoc-malformed-html-name": { logLevel: "none" },
		"tsdoc-malformed-inline-tag": { logLevel: "none" },
		"tsdoc-escape-right-brace": { logLevel: "none" },
		"tsdoc-escape-greater-than": { logLevel: "none" },
	},
};

/**
 * A field may be its name and type alone; a number must have its unit there (`…Ms`), or a line that says what it counts.
 * A method may be that of an interface that its class implements, which has the docstring.
 */
function speaksForItself({ messageId, sourceFilePath, sourceFileLine }: ExtractorMessage): boolean {
	if (messageId !== "ae-undocumented" || sourceFilePath === undefined || !sourceFileLine) return false;
	const lines = readFileSync(sourceFilePath, "utf8").split("\n").slice(0, sourceFileLine);
	const line = lines.at(-1) as string;
	if (line.startsWith("export ")) return false;
	if (/^\s+(static |get |set )?\w+\??(<.*>)?\(/.test(line)) {
		return lines.findLast((text) => text.startsWith("export "))?.includes(" implements ") === true;
	}
	const [, name] = /^\s+(?:readonly )?(\w+)\??: number\b/.exec(line) ?? [];
	return name === undefined || /(Ms|Bytes|Max)$/.test(name);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? "").href) {
	const problems = await withDeclarations((dist) => writeReports(dist, REPORTS));
	for (const problem of problems) console.error(problem);
	if (problems.length > 0) process.exitCode = 1;
}
