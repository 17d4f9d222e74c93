/**
 * Clients that move from node to node: with a reconnection token, cut off, overtaking themselves, in the middle of
 * broadcasts. Whatever the order of goodbyes and arrivals, one connection speaks for a client, and nothing is lost.
 */
import { afterEach, beforeAll, describe, expect, test } from "vitest";
import { partitionOf } from "../../runtime/address.ts";
import { Random } from "../../testing/random.ts";
import { ClientProcess } from "../kit/client-process.ts";
import { useCluster } from "../kit/cluster.ts";
import { CutProxy } from "../kit/cut-proxy.ts";
import { metric } from "../kit/metric.ts";
import type { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { type Frame, RawClient } from "../kit/raw-client.ts";

const NODES = 3;
/** Each published client moves so often: some faults come with the second reconnect only. */
const MOVES = 3;
/** Published clients that lose their line soon again wait longer and longer before they come back, milliseconds. */
const PATIENCE_MS = 150_000;
/** A call after a move is made at once, and must be answered within so many milliseconds. */
const ANSWER_MS_MAX = 5_000;
/** The default of a cluster. */
const PARTITIONS = 64;
/** Actors leave memory after 30 s without a message, at the next checkpoint. Milliseconds, on a busy machine. */
const PASSIVATED_MS_MAX = 120_000;
/** Reconnects of one client that overtake its older connection. */
const OVERTAKINGS = 30;

const languages = [
	{ language: "python", start: ClientProcess.python },
	{ language: "javascript", start: ClientProcess.javascript },
] as const;

describe("three nodes", () => {
	const nodes = useCluster(NODES, "--resume-window-ms", String(PATIENCE_MS));
	const connected = new Set<RawClient>();
	let team: TestWorkspace;
	const url = (n: number) => (nodes[n % NODES] as NodeProcess).url;
	const credentials = () => ({ workspace: team.id, token: team.token });

	const connect = async (n: number, clientId: string) => {
		const client = await RawClient.patiently(url(n), { clientId, ...credentials() });
		connected.add(client);
		return client;
	};
	/** The same client once more, on whichever node. */
	const again = async (n: number, { info }: RawClient) => {
		const { client_id: clientId, reconnection_token: reconnectionToken } = info;
		const client = await RawClient.patiently(url(n), { clientId, reconnectionToken });
		connected.add(client);
		return client;
	};
	const openSockets = async () => {
		const each = await Promise.all(nodes.map((node) => metric(node.url, "mycelog_gateway_connections")));
		return each.reduce((sum, count) => sum + count, 0);
	};

	beforeAll(async () => {
		team = await makeWorkspace(nodes[0] as NodeProcess, "moves");
	});
	afterEach(async () => {
		for (const client of connected) await client.leave();
		connected.clear();
	});

	test.each(languages)(
		"scenario 16: a $language client that its load balancer moves from node to node is answered for at once everywhere, each time",
		async ({ language, start }) => {
			const balancer = await CutProxy.to(url(0));
			const mover = start();
			const name = `mover-${language}`;
			await mover.connect(name, balancer.url, credentials());
			await mover.run("register", { name, id: "moved" });
			const callers = await Promise.all([0, 1, 2].map((n) => connect(n, `${language}-caller-${n}`)));
			const watcher = callers[0] as RawClient;
			await watcher.manage("subscribe", ["service_added"]);
			const registered = ({ main }: Frame) =>
				main["type"] === "service_added" &&
				(main["data"] as { id: string }).id === `${team.id}/${name}:moved`;
			for (let move = 1; move <= MOVES; move++) {
				await balancer.cut();
				balancer.switchTo(url(move));
				await balancer.mend();
				await watcher.frames.atLeast(move, registered, "registrations", PATIENCE_MS);
				const started = performance.now();
				const answers = callers.map((caller) => caller.call(name, "services.moved.add", [move, 1]));
				expect(await Promise.all(answers)).toEqual(callers.map(() => move + 1));
				expect(performance.now() - started).toBeLessThan(ANSWER_MS_MAX);
			}
			await mover.run("disconnect", { name });
			await mover.stop();
			await balancer.cut();
		},
		MOVES * PATIENCE_MS,
	);

	test("what waits in a suspended client's mailbox is delivered on the node it comes back to: in order, once, calls answered", async () => {
		const before = await connect(0, "sleeper");
		await before.serve("late", (_, [n]) => n);
		const sender = await connect(1, "sender");
		sender.send({ type: "notice", to: "sleeper", data: -1 });
		await before.frames.first(({ main }) => main["data"] === -1, "the first notice");
		// One ping of the node is under way at a time: the first trip ends it, the second ends the one for the rest.
		await before.roundTrip();
		await before.roundTrip();
		connected.delete(before);
		await before.cut();
		for (let seq = 0; seq < 300; seq++) sender.send({ type: "notice", to: "sleeper", data: seq });
		const answer = sender.call("sleeper", "services.late.echo", ["while away"]);
		expect(await sender.manage("echo", "sent")).toBe("sent");

		const after = await again(2, before);
		expect(after.info).toMatchObject({ recovered: true, workspace: team.id });
		const call = await after.frames.first(({ main }) => main["method"] === "services.late.echo", "the call");
		const reply = { type: "method", to: call.main["from"], method: `${call.main["session"]}.resolve` };
		after.send(reply, { args: ["answered"] });
		expect(await answer).toBe("answered");
		const notices = after.frames.all.filter(({ main }) => main["type"] === "notice");
		expect(notices.map(({ main }) => main["data"])).toEqual(Array.from({ length: 300 }, (_, seq) => seq));
		// Its registrations are those it had.
		expect(await sender.manage("get_service_info", "late")).toMatchObject({ id: `${after.peer}:late` });
	});

	test("a connection that overtakes an older one on another node closes it there, and no late goodbye does it harm", async () => {
		const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
		const random = new Random(seed);
		const caller = await connect(2, "caller");
		await caller.manage("subscribe", ["client_disconnected"]);
		let current = await connect(0, "overtaking");
		await current.serve("still", () => "here");
		const base = await openSockets();
		for (let round = 1; round <= OVERTAKINGS; round++) {
			const older = current;
			connected.delete(older);
			const ending = random.pick(["stays", "cut", "leaves late"] as const);
			const gone = ending === "cut" ? older.cut() : undefined;
			current = await again(random.between(0, NODES - 1), older);
			if (ending === "leaves late") await older.leave();
			if (ending === "stays") {
				expect((await older.closed).code, `SEED=${seed} round ${round}`).toBe(1001);
			}
			await gone;
			const number = round;
			const answered = caller.call("overtaking", "services.still.where", [number]);
			const call = await current.frames.first(
				({ main, extra }) =>
					main["method"] === "services.still.where" && (extra["args"] as number[])[0] === number,
				`the call of round ${round} (SEED=${seed}, ${ending})`,
			);
			const reply = { type: "method", to: call.main["from"], method: `${call.main["session"]}.resolve` };
			current.send(reply, { args: [number] });
			expect(await answered).toBe(number);
		}
		expect(await caller.manage("get_service_info", "still")).toMatchObject({ id: `${current.peer}:still` });
		expect(caller.frames.all).toEqual([]);
		await expect.poll(openSockets, { timeout: 20_000 }).toBe(base);
	});

	test("scenario 27: a broadcast reaches each member once, also one that moves between two nodes meanwhile", async () => {
		const members = await Promise.all(Array.from({ length: 6 }, (_, n) => connect(n, `member-${n}`)));
		for (const member of members) await member.manage("subscribe", ["news"]);
		const speaker = await connect(1, "speaker");
		const say = (from: number, before: number) => {
			for (let seq = from; seq < before; seq++) speaker.send({ type: "news", to: "*", data: seq });
		};
		const news = ({ frames }: RawClient) =>
			frames.all.filter(({ main }) => main["type"] === "news").map(({ main }) => main["data"]);
		const isNews = ({ main }: Frame) => main["type"] === "news";
		const mover = members.pop() as RawClient;
		say(0, 100);
		await mover.frames.atLeast(100, isNews, "news before the move");
		await mover.roundTrip();
		await mover.roundTrip();
		connected.delete(mover);
		await mover.cut();
		say(100, 200);
		const [moved] = await Promise.all([again(0, mover), say(200, 300)]);
		await moved.frames.first(({ main }) => main["data"] === 299, "the newest after the move");
		expect([...news(mover), ...news(moved)]).toEqual(Array.from({ length: 300 }, (_, seq) => seq));
		for (const member of members) {
			await member.frames.first(({ main }) => main["data"] === 299, "the newest");
			expect(news(member)).toEqual(Array.from({ length: 300 }, (_, seq) => seq));
		}
	});

	test("a member that moves again and again under a stream of broadcasts misses none; repeats are only what it had not acknowledged", async () => {
		const speaker = await connect(0, "streaming");
		let listener = await connect(1, "restless");
		await listener.manage("subscribe", ["stream"]);
		const data = ({ frames }: RawClient) =>
			frames.all.filter(({ main }) => main["type"] === "stream").map(({ main }) => main["data"] as number);
		let said = 0;
		let going = true;
		const streaming = (async () => {
			while (going) {
				for (let i = 0; i < 10; i++) speaker.send({ type: "stream", to: "*", data: said++ });
				await speaker.roundTrip();
			}
		})();
		const parts: number[][] = [];
		for (let move = 0; move < 10; move++) {
			await listener.frames.atLeast(20, ({ main }) => main["type"] === "stream", "of the stream");
			const older = listener;
			connected.delete(older);
			if (move % 2 === 0) await older.cut();
			listener = await again(move, older);
			await older.closed;
			parts.push(data(older));
		}
		going = false;
		await streaming;
		await listener.frames.first(({ main }) => main["data"] === said - 1, "the newest of the stream");
		parts.push(data(listener));
		let expected = 0;
		for (const part of parts) {
			const [first] = part as [number];
			expect(first).toBeLessThanOrEqual(expected);
			expect(part).toEqual(Array.from({ length: part.length }, (_, i) => first + i));
			expected = Math.max(expected, (part.at(-1) as number) + 1);
		}
		expect(expected).toBe(said);
	});

	test(
		"scenario 29: when its actors have left memory, a client that reconnects finds its state whole, and each actor is loaded once in the cluster",
		async () => {
			const sleeper = await connect(0, "dreaming");
			await sleeper.serve("dream", () => "awake");
			await sleeper.manage("subscribe", ["alarm"]);
			const callers = await Promise.all([1, 2].map((n) => connect(n, `waking-${n}`)));
			const [first, second] = callers as [RawClient, RawClient];
			const services = await first.manage("list_services");
			const inMemory = async () => {
				const each = await Promise.all(nodes.map((node) => metric(node.url, "mycelog_actors_in_memory")));
				return each.reduce((sum, count) => sum + count, 0);
			};
			const ghosts = await Ghosts.of(await RawClient.patiently(url(0), { clientId: "poker" }));
			const left = async () => {
				await ghosts.poke();
				return inMemory();
			};
			await expect.poll(left, { timeout: PASSIVATED_MS_MAX, interval: 2_000 }).toBe(ghosts.inMemory);

			connected.delete(sleeper);
			const [woken, ...asked] = await Promise.all([
				again(1, sleeper),
				...callers.map((caller) => caller.manage("list_services")),
				...Array.from({ length: 20 }, (_, n) => callers[n % 2]?.manage("get_service_info", "dream")),
			]);
			expect(asked.slice(0, 2)).toEqual([services, services]);
			expect(woken.info.recovered).toBe(true);
			second.send({ type: "alarm", to: "*", data: "ring" });
			await woken.frames.first(({ main }) => main["type"] === "alarm", "what it had subscribed to");
			const answered = first.call("dreaming", "services.dream.anything");
			const call = await woken.frames.first(
				({ main }) => main["method"] === "services.dream.anything",
				"a call",
			);
			const reply = { type: "method", to: call.main["from"], method: `${call.main["session"]}.resolve` };
			woken.send(reply, { args: ["awake"] });
			expect(await answered).toBe("awake");
			// Beside them: the workspace, the user and three clients.
			expect(await inMemory()).toBe(ghosts.inMemory + 5);
			await ghosts.leave();
		},
		PASSIVATED_MS_MAX + 60_000,
	);

	test(
		"a client whose node dies goes on where it comes back to: nothing sent meanwhile is lost, and what it had registered stands",
		async () => {
			const survivor = await connect(2, "survivor");
			await survivor.serve("stands", () => null);
			await survivor.manage("subscribe", ["alarm"]);
			const sender = await connect(0, "faithful");
			sender.send({ type: "notice", to: "survivor", data: -1 });
			await survivor.frames.first(({ main }) => main["data"] === -1, "the first notice");
			await survivor.roundTrip();
			await survivor.roundTrip();
			await (nodes[2] as NodeProcess).kill9();
			connected.delete(survivor);
			await survivor.closed;
			for (let seq = 0; seq < 100; seq++) sender.send({ type: "notice", to: "survivor", data: seq });
			const { client_id: clientId, reconnection_token: reconnectionToken } = survivor.info;
			const back = await RawClient.patiently(url(1), { clientId, reconnectionToken });
			connected.add(back);
			expect(back.info.recovered).toBe(true);
			sender.send({ type: "alarm", to: "*", data: "ring" });
			await back.frames.first(
				({ main }) => main["type"] === "alarm",
				"what it had subscribed to",
				PATIENCE_MS,
			);
			// What it had acknowledged within the last second, its node took to the grave: that comes again.
			const isNew = ({ main }: Frame) => main["type"] === "notice" && main["data"] !== -1;
			const notices = back.frames.all.filter(isNew);
			expect(notices.map(({ main }) => main["data"])).toEqual(Array.from({ length: 100 }, (_, seq) => seq));
			expect(await sender.manage("get_service_info", "stands")).toMatchObject({ id: `${back.peer}:stands` });
		},
		2 * PATIENCE_MS,
	);
});

/**
 * Actors that are not there, one in every partition. A partition takes its checkpoints, and lets go of idle actors, as it
 * gets on; whoever asks for a ghost makes its partition get on.
 */
class Ghosts {
	readonly #poker: RawClient;
	readonly #clients: readonly string[];
	readonly #workspaces: readonly string[];

	private constructor(poker: RawClient) {
		this.#poker = poker;
		this.#clients = onePerPartition(
			(n) => `ghost-${n}`,
			(name) => `client/${poker.workspace}/${name}`,
		);
		this.#workspaces = onePerPartition(
			(n) => `ghost-${n}`,
			(name) => `workspace/${name}`,
		);
	}

	static async of(poker: RawClient): Promise<Ghosts> {
		const ghosts = new Ghosts(poker);
		await ghosts.poke();
		return ghosts;
	}

	/** Actors that the poking itself keeps in memory: the ghosts, the one that pokes and its workspace. */
	get inMemory(): number {
		return this.#clients.length + this.#workspaces.length + 2;
	}

	async poke(): Promise<void> {
		const asked = [
			...this.#clients.map((name) => this.#poker.call(name, "services.x.y")),
			...this.#workspaces.map((name) => this.#poker.manage("get_workspace_info", name)),
			// Its own workspace stays, too.
			this.#poker.manage("check_status"),
		];
		const outcomes = await Promise.allSettled(asked);
		expect(outcomes.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
	}

	leave(): Promise<void> {
		return this.#poker.leave();
	}
}

function onePerPartition(
	nameOf: (n: number) => string,
	addressOf: (name: string) => string,
): readonly string[] {
	const names = new Map<number, string>();
	for (let n = 0; names.size < PARTITIONS; n++)
		names.set(partitionOf(addressOf(nameOf(n)), PARTITIONS), nameOf(n));
	return [...names.values()];
}
