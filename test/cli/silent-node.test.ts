/** Commands to something that takes connections and never answers, as a frozen node does, and to one that is slow. */
import { once } from "node:events";
import { createServer as createHttp } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { expect, onTestFinished, test, vi } from "vitest";
import { refusal } from "../kit/command.ts";

/** More than a node has to show that it lives, milliseconds. */
const SLOW_MS = 11_000;
const SILENT_MS = 10_000;
const LATE_MS = 5_000;

async function listening(server: Server): Promise<string> {
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

test("a node that takes connections and answers nothing is given up in time; one that lives has its time for an answer", async () => {
	vi.stubEnv("MYCELOG_OPERATOR_TOKEN", "some-token");
	const sockets = new Set<Socket>();
	const silent = createServer((socket) => sockets.add(socket));
	const slow = createHttp((request, response) => {
		if (request.url === "/health/liveness") response.end("{}");
		else setTimeout(() => response.writeHead(409).end('{"detail": "slow, but here"}'), SLOW_MS);
	});
	onTestFinished(() => {
		vi.unstubAllEnvs();
		for (const socket of sockets) socket.destroy();
		silent.close();
		slow.close();
	});
	const [unheard, heard] = await Promise.all([
		refusal(["pause", "till/a", "--why", "x", "--node", await listening(silent)]),
		refusal(["pause", "till/a", "--why", "x", "--node", await listening(slow)]),
	]);
	expect(unheard.code).toBe("operator.node-unreachable");
	expect(unheard.text).toMatch(/no answer from .+: it does not answer, nor whether it lives, within \d+ ms/);
	expect(unheard.afterMs).toBeLessThan(SILENT_MS + LATE_MS);
	expect(heard).toMatchObject({ code: "operator.refused", text: "slow, but here" });
	expect(heard.afterMs).toBeGreaterThanOrEqual(SLOW_MS);
});
