/**
 * What bounds a node: sockets, handshakes, slow readers, large first texts. Each bound bites the one who reaches it,
 * is counted, and leaves everybody else alone.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import type { WebSocket } from "ws";
import { metric } from "../kit/metric.ts";
import { makeWorkspace, onEachLog, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient, rawSocket } from "../kit/raw-client.ts";

/** The gateway's bound of sockets that have not been admitted yet. */
const HANDSHAKES_AT_ONCE = 500;
/** Admitted clients beside them. */
const ADMITTED_MAX = 10;

/** The manager's bound of calls of one client under way. */
const MANAGER_CALLS_OF_ONE_MAX = 1_000;

/** What a reader that does not read is sent: far more than sockets and the gateway buffer for it. */
const NOTICES = 800;
const NOTICE_BYTES = 100_000;

onEachLog(
	"a bound",
	(node) => {
		let team: TestWorkspace;
		let bystander: RawClient;
		const credentials = (clientId: string) => ({ clientId, workspace: team.id, token: team.token });
		const connect = (clientId: string) => RawClient.connect(node().url, credentials(clientId));

		beforeAll(async () => {
			team = await makeWorkspace(node(), "limits");
			bystander = await connect("bystander");
		});
		afterAll(() => bystander?.leave());

		test("a client that does not read costs the node nothing, disturbs nobody and misses nothing", async () => {
			const reader = await connect("reader");
			const sender = await connect("sender");
			reader.pause();
			const data = new Uint8Array(NOTICE_BYTES).fill(7);
			for (let seq = 0; seq < NOTICES; seq++) {
				sender.send({ type: "notice", to: "reader", seq, data });
				// The one that sends waits for the log, the one that reads is not waited for.
				if (seq % 50 === 49) expect(await sender.manage("echo", seq)).toBe(seq);
			}
			expect(await bystander.manage("echo", "undisturbed")).toBe("undisturbed");
			expect(await metric(node().url, "mycelog_gateway_slow_readers_total")).toBeGreaterThan(0);
			reader.resume();
			const isNotice = ({ main }: { main: Readonly<Record<string, unknown>> }) => main["type"] === "notice";
			const notices = await reader.frames.atLeast(NOTICES, isNotice, "notices");
			expect(notices.map(({ main }) => main["seq"])).toEqual(
				Array.from({ length: NOTICES }, (_, seq) => seq),
			);
			await sender.leave();
			await reader.leave();
		});

		test("sockets that say nothing, and sockets over the node's number, keep others waiting but not out", async () => {
			const refused = (reason: string) =>
				metric(node().url, "mycelog_gateway_refused_upgrades_total", { reason });
			const admitted = await Promise.all(
				Array.from({ length: ADMITTED_MAX - 1 }, (_, i) => connect(`member-${i}`)),
			);
			const silent: WebSocket[] = [];
			for (let opened = 0; opened < HANDSHAKES_AT_ONCE; opened += 50) {
				const some = await Promise.all(Array.from({ length: 50 }, () => rawSocket(node().url)));
				silent.push(...some.map(({ socket }) => socket));
			}
			await expect(connect("one-more")).rejects.toThrow(/503/);
			expect(await refused("connections")).toBe(1);
			expect(await bystander.manage("echo", "in")).toBe("in");

			await admitted.pop()?.leave();
			await expect(connect("one-more")).rejects.toThrow(/503/);
			expect(await refused("handshakes")).toBe(1);

			const ended = silent.map((socket) => new Promise((resolve) => socket.once("close", resolve)));
			for (const socket of silent) socket.terminate();
			await Promise.all(ended);
			// The node hears of the ends in the order in which it reads: this is read after them all.
			await bystander.roundTrip();
			const late = await connect("one-more");
			expect(await late.manage("echo", "in")).toBe("in");
			for (const client of [...admitted, late]) await client.leave();
		});

		test("a first text longer than any token is refused unread", async () => {
			const { socket, closed } = await rawSocket(node().url);
			const texts: unknown[] = [];
			socket.on("message", (data) => texts.push(JSON.parse(String(data))));
			socket.send(JSON.stringify({ client_id: "c", token: "x".repeat(70_000) }));
			expect((await closed).code).toBe(1003);
			expect(texts).toEqual([{ type: "error", message: "Failed to decode authentication information" }]);
		});

		test("messages in chunks for the manager are bounded for each sender", async () => {
			const hoarder = await connect("hoarder");
			const create = (client: RawClient, key: string) =>
				client.call(client.managerPeer, "services.built-in.message_cache.create", [key, false]);
			for (let i = 0; i < 16; i++) await create(hoarder, `key-${i}`);
			await expect(create(hoarder, "one-more")).rejects.toThrow(/too many chunked messages/);
			expect(await create(bystander, "own")).toBe(null);
			await hoarder.leave();
		});

		test("manager calls of one client are bounded, and their signs of life come at a pace of the node's", async () => {
			const mute = await connect("mute");
			const asker = await connect("asker");
			const ping = (seconds: number, t: number) => {
				const { session, answer } = asker.startCall();
				const head = { type: "method", to: asker.managerPeer, method: "services.default.ping", session };
				asker.send(head, { args: [mute.peer, seconds], promise: "*", t });
				return answer;
			};
			expect(await ping(2, 0.000_001)).toMatch(/^Failed to ping/);
			expect(asker.heartbeats).toBeGreaterThan(0);
			expect(asker.heartbeats).toBeLessThan(6);
			const pings = Array.from({ length: MANAGER_CALLS_OF_ONE_MAX }, () => ping(60, 30));
			await expect(ping(60, 30)).rejects.toThrow(/too many calls/);
			expect(await bystander.manage("echo", "served")).toBe("served");
			await asker.leave();
			await mute.leave();
			// They end with their client; nobody is told.
			await Promise.allSettled(pings);
		});

		test("none of it was an error of the node", () => {
			expect(node().output()).not.toMatch(/ (ERROR|FATAL) /);
		});
	},
	"--connections-max",
	String(HANDSHAKES_AT_ONCE + ADMITTED_MAX),
);
