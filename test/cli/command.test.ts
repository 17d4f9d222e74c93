/** The command as a process: help, exit codes and how errors read. Nodes with clients are test/acceptance. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { type AddressInfo, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { flagOf, OPTION_KEYS } from "../../cli/options.ts";
import { VERSION } from "../../cli/version.ts";
import { mycelog } from "../kit/mycelog.ts";

let directory: string;
beforeAll(() => {
	directory = mkdtempSync(join(tmpdir(), "mycelog-command-"));
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

describe("help", () => {
	test("the program's help lists its commands and exit codes", async () => {
		const { exitCode, stdout } = await mycelog(["--help"]);
		expect(exitCode).toBe(0);
		for (const word of ["start", "actors", "history", "replay", "verify", "check", "Exit codes"]) {
			expect(stdout).toContain(word);
		}
	});

	test("the help of start has every option and examples", async () => {
		const { exitCode, stdout } = await mycelog(["start", "--help"]);
		expect(exitCode).toBe(0);
		for (const key of OPTION_KEYS) expect(stdout).toContain(`--${flagOf(key)}`);
		expect(stdout).toContain("Examples:");
	});

	test("--version prints the package's version", async () => {
		expect(await mycelog(["--version"])).toMatchObject({ exitCode: 0, stdout: `${VERSION}\n` });
	});

	test("no command at all shows the help and fails as misuse", async () => {
		const { exitCode, stderr } = await mycelog([]);
		expect(exitCode).toBe(2);
		expect(stderr).toContain("Usage: mycelog");
	});
});

describe("misuse ends with 2, says what to do, and shows no stack", () => {
	test.each([
		[["start", "--prot", "1"], "config.unknown-option", /unknown option '--prot'.*--port/],
		[["start", "--port", "x"], "config.invalid-value", /port cannot be "x" \(flag --port\)/],
		[
			["start", "--kafka-uri", "a:1", "--durability", "power"],
			"config.contradiction",
			/durability.*kafka-uri/,
		],
		[["history"], "config.invalid-value", /missing required argument 'address'/],
		[["replay", "x/y", "--to", "-"], "config.invalid-value", /--to.*whole number/],
		[["reboot"], "config.invalid-value", /unknown command 'reboot'/],
	])("%j", async (args, code, words) => {
		const { exitCode, stderr, stdout } = await mycelog(args);
		expect(exitCode).toBe(2);
		expect(stderr).toMatch(words);
		expect(stderr).toMatch(new RegExp(`^error: .*\nfix: .*\ncode: ${code}\n$`));
		expect(stdout).toBe("");
	});

	test("an unknown variable in the environment", async () => {
		const { exitCode, stderr } = await mycelog(["start"], { MYCELOG_PROT: "1" });
		expect(exitCode).toBe(2);
		expect(stderr).toContain('unknown option "MYCELOG_PROT" in the environment');
	});

	test("a data directory without a log", async () => {
		const { exitCode, stderr } = await mycelog(["actors", "--data-dir", directory]);
		expect(exitCode).toBe(2);
		expect(stderr).toContain(directory);
		expect(stderr).not.toContain("    at ");
	});
});

test("a root token that can be guessed is refused without being printed", async () => {
	const { exitCode, stderr } = await mycelog(
		["start", "--data-dir", join(directory, "weak"), "--port", "0"],
		{
			MYCELOG_ROOT_TOKEN: "changeme",
		},
	);
	expect(exitCode).toBe(2);
	expect(stderr).toMatch(/root token/);
	expect(stderr).not.toContain("changeme");
});

describe("a data directory that cannot be one", () => {
	test("is named, whether it is a file, lies below one, or holds a node id that nobody wrote", async () => {
		const file = join(directory, "a-file");
		writeFileSync(file, "");
		for (const dataDir of [file, join(file, "below")]) {
			const { exitCode, stderr } = await mycelog(["start", "--port", "0", "--data-dir", dataDir]);
			expect(exitCode).toBe(2);
			expect(stderr).toContain(`cannot use the data directory ${dataDir}: `);
			expect(stderr).toContain("code: config.invalid-value");
		}
		const odd = join(directory, "odd");
		mkdirSync(odd);
		writeFileSync(join(odd, "node-id"), "no/name\n");
		const { exitCode, stderr } = await mycelog(["start", "--port", "0", "--data-dir", odd]);
		expect(exitCode).toBe(2);
		expect(stderr).toContain(join(odd, "node-id"));
	});
});

test("an address that is not this machine's is not called a port in use", async () => {
	const place = ["--port", "0", "--data-dir", join(directory, "elsewhere")];
	const { exitCode, stderr } = await mycelog(["start", "--host", "192.0.2.1", ...place]);
	expect(exitCode).toBe(2);
	expect(stderr).toMatch(/^error: cannot listen on 192\.0\.2\.1:0: .*not available/m);
	expect(stderr).toContain("code: config.invalid-value");
});

test("--log-level debug shows the stack of an error", async () => {
	const { stderr } = await mycelog(["actors", "--data-dir", directory, "--log-level", "debug"]);
	expect(stderr).toContain("    at ");
});

test.each(["start", "actors"])(
	"scenario 55: %s with a Kafka that is not there ends with 1, its addresses, attempts, elapsed time and what to do",
	async (command) => {
		const place = ["--kafka-uri", "127.0.0.1:1,127.0.0.1:2", "--data-dir", directory];
		const { exitCode, stderr } = await mycelog([command, ...place]);
		expect(exitCode).toBe(1);
		expect(stderr).toMatch(/127\.0\.0\.1:1, 127\.0\.0\.1:2: \d+ attempts in \d+ ms/);
		expect(stderr).toContain("code: log.unreachable");
	},
);

test("scenario 52: a node that starts logs once which options it was given, each with its value and where it came from", async () => {
	const config = join(directory, "given.json");
	const dataDir = join(directory, "given");
	writeFileSync(config, JSON.stringify({ "resume-window-ms": 1234, port: 1, host: "10.0.0.1" }));
	// An address that is not this machine's: it starts, says so, and ends.
	const { stderr } = await mycelog(
		["start", "--config", config, "--host", "192.0.2.1", "--data-dir", dataDir, "--log-format", "json"],
		{ MYCELOG_PORT: "0", MYCELOG_JWT_SECRET: "hidden-from-all-logs" },
	);
	const lines = stderr.split("\n").flatMap((line) => (line.startsWith("{") ? [JSON.parse(line)] : []));
	const told = lines.filter(({ msg }) => msg === "configuration");
	expect(told).toHaveLength(1);
	expect(told[0].options).toEqual({
		host: { value: "192.0.2.1", from: "flag --host" },
		port: { value: 0, from: "environment MYCELOG_PORT" },
		"resume-window-ms": { value: 1234, from: `file ${config}` },
		"data-dir": { value: dataDir, from: "flag --data-dir" },
		"log-format": { value: "json", from: "flag --log-format" },
	});
	expect(stderr).not.toContain("hidden-from-all-logs");
});

test("scenario 53: contradictory or unknown options end a start before anything is opened, and are named with their origins", async () => {
	// Whoever tried to listen would speak of the port first.
	const taken = createServer();
	await new Promise<void>((resolve) => taken.listen(0, "127.0.0.1", resolve));
	const { port } = taken.address() as AddressInfo;
	const dataDir = join(directory, "never-made");
	const place = ["start", "--host", "127.0.0.1", "--port", String(port), "--data-dir", dataDir];
	const contradiction = await mycelog([...place, "--durability", "power"], {
		MYCELOG_KAFKA_URI: "127.0.0.1:1",
	});
	expect(contradiction).toMatchObject({ exitCode: 2, stdout: "" });
	expect(contradiction.stderr).toMatch(
		/durability \(flag --durability\).*kafka-uri \(environment MYCELOG_KAFKA_URI\)/,
	);
	const unknown = await mycelog([...place, "--durabilty", "power"], {});
	expect(unknown).toMatchObject({ exitCode: 2, stdout: "" });
	expect(unknown.stderr).toMatch(/unknown option '--durabilty'.*--durability/);
	expect(existsSync(dataDir)).toBe(false);
	await new Promise((resolve) => taken.close(resolve));
});
