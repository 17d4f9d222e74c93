/**
 * What a node writes on an ordinary day, when clients come and go and much of what they try fails: nothing that calls
 * an operator. And what it writes about a record, so that the record can be found.
 */
import { randomBytes } from "node:crypto";
import { afterAll, describe, expect, inject, test } from "vitest";
import { createMycelog, type Mycelog } from "../../cli/node.ts";
import type { Config } from "../../cli/options.ts";
import { encodeBody } from "../../runtime/message.ts";
import { counterBehaviour } from "../kit/counter.ts";
import { ROOT_TOKEN } from "../kit/node-process.ts";
import { RawClient, RefusedHandshake, RejectedError, rawSocket } from "../kit/raw-client.ts";
import { collectingLogger, type LoggedLine, startNode, temporaryDirectory } from "../kit/runtime-node.ts";

const environment = {
	MYCELOG_ROOT_TOKEN: ROOT_TOKEN,
	MYCELOG_JWT_SECRET: "the-secret-of-an-ordinary-day-0123456789",
};

const logger = collectingLogger();
const directories: ReturnType<typeof temporaryDirectory>[] = [];
const nodes: Mycelog[] = [];

afterAll(async () => {
	await Promise.all(nodes.map((node) => node.stop()));
	for (const directory of directories) directory.remove();
});

async function start(options: Partial<Config>): Promise<Mycelog> {
	const directory = temporaryDirectory();
	directories.push(directory);
	const all = { dataDir: directory.path, port: 0, partitions: 4, drainMs: 100, ...options };
	const mycelog = await createMycelog(all, { logger, environment });
	nodes.push(mycelog);
	await mycelog.start();
	await mycelog.ready();
	return mycelog;
}

function errors(): LoggedLine[] {
	return logger.lines.filter(({ level }) => level === "error");
}

async function ordinaryDay(url: string): Promise<RawClient> {
	const connect = (clientId: string, more = {}) =>
		RawClient.patiently(url, { clientId, token: ROOT_TOKEN, ...more });
	const provider = await connect("provider");
	await provider.serve("shop", (method, [value]) => {
		if (method === "buy") return value;
		throw new Error(`no ${method} today`);
	});
	const caller = await connect("caller");
	const shop = (method: string, ...args: unknown[]) =>
		caller.call(provider.peer, `services.shop.${method}`, args);
	expect(await shop("buy", "bread")).toBe("bread");

	// Calls that fail, for every reason a caller can have.
	await expect(shop("sell")).rejects.toThrow(RejectedError);
	await expect(caller.call("ws-user-root/nobody", "services.shop.buy")).rejects.toThrow(RejectedError);
	await expect(caller.call("no/such/target", "services.shop.buy")).rejects.toThrow(RejectedError);
	await expect(caller.manage("no_such_method")).rejects.toThrow(RejectedError);
	await expect(caller.manage("get_service", "nothing-here")).rejects.toThrow(RejectedError);
	await expect(caller.manage("set_env")).rejects.toThrow(RejectedError);
	caller.send({ type: "method", to: provider.peer, method: "services.shop.buy" }, { from: "somebody/else" });
	caller.sendBytes(Buffer.from([0xc1, 0xc1]));
	caller.sendText("no JSON");

	// Who may not come in, and who says nothing that can be read.
	for (const token of ["no token", `${ROOT_TOKEN}x`, "a.b.c"]) {
		const refused = RawClient.connect(url, { clientId: "stranger", token });
		await expect(refused).rejects.toThrow(RefusedHandshake);
	}
	await expect(RawClient.connect(url, { clientId: "a/b", token: ROOT_TOKEN })).rejects.toThrow(
		RefusedHandshake,
	);
	const { socket, closed } = await rawSocket(url);
	socket.send("not a handshake");
	await closed;
	for (const path of [
		"/ws-user-root/services/none/f",
		"/nowhere/services/",
		"/no/such/path",
		"/ws-user-root/services/shop/sell",
	]) {
		await fetch(`${url}${path}`, { headers: { authorization: "Bearer no.good.token" } });
		await fetch(`${url}${path}`, { headers: { authorization: `Bearer ${ROOT_TOKEN}` } });
	}

	// Clients that vanish: before an answer, and with a call in their mailbox that expires.
	const sleepy = await connect("sleepy");
	const { reconnection_token: reconnectionToken } = sleepy.info;
	const unanswered = caller.call(sleepy.peer, "services.built-in.sleep");
	await sleepy.cut();
	const { session } = caller.startCall();
	caller.send({ type: "method", to: sleepy.peer, method: "services.x.y", session }, { args: [], t: 0.001 });
	await caller.roundTrip();
	const awake = await RawClient.patiently(url, {
		clientId: "sleepy",
		workspace: "ws-user-root",
		reconnectionToken,
	});
	await awake.leave();
	unanswered.catch(() => {});
	const again = await connect("again");
	const superseded = await connect("again").catch(() => undefined);
	await superseded?.leave();
	await again.cut();
	await provider.leave();
	return caller;
}

test("clients come, go and vanish, calls fail and expire, tokens are refused, a node stops under its clients: no line at error level", async () => {
	const mycelog = await start({ durability: "process", resumeWindowMs: 500 });
	const caller = await ordinaryDay(mycelog.url);
	const left = caller.closed;
	await mycelog.stop();
	await left;
	expect(errors()).toEqual([]);
});

test("the same on Kafka, while a second node comes, goes and comes back: no line at error level", async () => {
	const kafkaUri = inject("kafkaBrokers").split(",");
	const options = { kafkaUri, prefix: `day-${randomBytes(6).toString("hex")}`, kafkaReplicationFactor: 1 };
	const first = await start({ ...options, nodeId: "first" });
	const second = await start({ ...options, nodeId: "second" });
	await (await ordinaryDay(first.url)).leave();
	await second.stop();
	const third = await start({ ...options, nodeId: "second" });
	await (await ordinaryDay(third.url)).leave();
	await Promise.all([first.stop(), third.stop()]);
	expect(errors()).toEqual([]);
});

describe("a line about a record", () => {
	test("of a dead letter names the address, the partition and the offset, at level warn", async () => {
		const directory = temporaryDirectory();
		directories.push(directory);
		const { node, logger: own } = await startNode(directory.path, [counterBehaviour], { partitions: 4 });
		const offset = await node.submit({
			to: "counter/bad",
			kind: "command",
			type: "fail",
			body: encodeBody({ type: "fail" }),
		});
		await node.ask("counter/bad", { type: "total" }, { kind: "query", timeoutMs: 10_000 });
		const { topic, partition } = node.mailbox("counter/bad");
		const line = own.lines.find(({ message }) => message === "record parked as a dead letter");
		expect(line).toMatchObject({
			level: "warn",
			fields: { address: "counter/bad", partition: `${topic}/${partition}`, offset, type: "fail" },
		});
		await node.stop(5_000);
	});

	test("of a damaged snapshot names the address and the partition", async () => {
		const directory = temporaryDirectory();
		directories.push(directory);
		const first = await startNode(directory.path, [counterBehaviour], { partitions: 4 });
		await first.node.ask("counter/a", { type: "add", by: 1 }, { kind: "command", timeoutMs: 10_000 });
		await first.node.stop(5_000);
		const { default: Database } = await import("better-sqlite3");
		const database = new Database(`${directory.path}/snapshots.db`);
		database.prepare("UPDATE snapshots SET state = replace(state, '1', '2')").run();
		database.close();
		const second = await startNode(directory.path, [counterBehaviour], { partitions: 4 });
		expect(await second.node.ask("counter/a", { type: "total" }, { kind: "query", timeoutMs: 10_000 })).toBe(
			1,
		);
		const { topic, partition } = second.node.mailbox("counter/a");
		const line = second.logger.lines.find(({ level }) => level === "error");
		expect(line?.fields).toMatchObject({ address: "counter/a", partition: `${topic}/${partition}` });
		await second.node.stop(5_000);
	});
});
