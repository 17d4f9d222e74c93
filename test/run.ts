/**
 * `npm test`'s last step: runs every test and prints `N passed, N failed` as the last line. Owns the count's
 * honesty: a skipped test, an empty run or an error outside tests is a failure.
 */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

interface Report {
	readonly numPassedTests: number;
	readonly numFailedTests: number;
	readonly numPendingTests: number;
	readonly numTodoTests: number;
	readonly testResults: readonly { readonly status: string; readonly assertionResults: readonly unknown[] }[];
}

interface Verdict {
	readonly passed: number;
	readonly failed: number;
	/** What failed beside tests themselves. */
	readonly complaints: readonly string[];
}

const root = fileURLToPath(new URL("..", import.meta.url));
const vitest = join(dirname(createRequire(import.meta.url).resolve("vitest/package.json")), "vitest.mjs");

const directory = await mkdtemp(join(tmpdir(), "mycelog-report-"));
const reportFile = join(directory, "report.json");
const exitCode = await runVitest(reportFile);
const { passed, failed, complaints } = judge(await readReport(reportFile), exitCode);
await rm(directory, { recursive: true, force: true });
for (const complaint of complaints) console.error(complaint);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed === 0 ? 0 : 1;

function runVitest(reportFile: string): Promise<number> {
	const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
	const args = [vitest, "run", ...reporters, ...process.argv.slice(2)];
	const child = spawn(process.execPath, args, { cwd: root, stdio: "inherit" });
	return new Promise((resolve, reject) => {
		child.once("error", reject);
		child.once("close", (code) => resolve(code ?? 1));
	});
}

/** Undefined: vitest ended before it could write one. */
async function readReport(file: string): Promise<Report | undefined> {
	const text = await readFile(file, "utf8").catch(() => undefined);
	return text === undefined ? undefined : (JSON.parse(text) as Report);
}

function judge(report: Report | undefined, exitCode: number): Verdict {
	if (!report) return { passed: 0, failed: 1, complaints: ["the run ended before any test had a result"] };
	const complaints: string[] = [];
	const broken = report.testResults.filter(
		(file) => file.status === "failed" && file.assertionResults.length === 0,
	);
	if (broken.length > 0) complaints.push(`${broken.length} test files could not be run`);
	const skipped = report.numPendingTests + report.numTodoTests;
	if (skipped > 0) complaints.push(`${skipped} tests were skipped, which counts as failed`);
	const passed = report.numPassedTests;
	let failed = report.numFailedTests + broken.length + skipped;
	if (passed + failed === 0) complaints.push("no test was found");
	if (exitCode !== 0 && failed === 0)
		complaints.push(`vitest ended with ${exitCode} although no test failed`);
	if (failed === 0 && complaints.length > 0) failed = 1;
	return { passed, failed, complaints };
}
