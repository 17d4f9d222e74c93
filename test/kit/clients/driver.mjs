/**
 * The unmodified JavaScript client in Node, steered by a test: one JSON command a line in, one JSON answer a line out.
 * Owns the lines and the process; the commands are commands.mjs.
 */
import { createHash } from "node:crypto";
import { createInterface } from "node:readline";
import { commands, kit } from "./commands.mjs";

// The client logs to the console: stdout belongs to answers alone.
for (const level of ["log", "info", "debug", "warn"]) console[level] = (...words) => console.error(...words);
const { connectToServer, login } = await import("hypha-rpc");

/** Longer binary results go back as length and digest, bytes. */
const INLINE_BYTES_MAX = 64 * 1024;

Object.assign(kit, { connectToServer, login, bytes });

function bytes(data) {
	if (data.length <= INLINE_BYTES_MAX) return { $bytes: Buffer.from(data).toString("base64") };
	return { $sha256: createHash("sha256").update(data).digest("hex"), bytes: data.length };
}

async function run(line) {
	const request = JSON.parse(line);
	let answer;
	try {
		answer = { ok: true, value: (await commands[request.do](request.with)) ?? null };
	} catch (error) {
		answer = { ok: false, error: String(error?.message ?? error) };
	}
	process.stdout.write(`${JSON.stringify({ id: request.id, ...answer })}\n`);
}

// The client leaves promises behind when connections end; they are not the test's business.
process.on("unhandledRejection", (error) => console.error("unhandled rejection in the client:", error));
createInterface({ input: process.stdin })
	.on("line", (line) => void run(line))
	.on("close", () => process.exit(0));
