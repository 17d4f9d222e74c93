/**
 * An event bus in a process of its own, over Kafka, told what to do by its parent (event-processes.ts).
 * Owns the commands; what is right or wrong, the test decides.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import type { EventData, EventMatch } from "../../runtime/index.ts";
import type { EventAnswer, EventProcessOptions, EventRequest } from "./event-processes.ts";
import { logEnds, startBus } from "./event-stage.ts";

const options = JSON.parse(process.argv[2] as string) as EventProcessOptions;
const dataDir = mkdtempSync(join(tmpdir(), "mycelog-events-"));
process.once("exit", () => rmSync(dataDir, { recursive: true, force: true }));
process.once("disconnect", () => process.exit(0));

const log = new KafkaLog({
	brokers: options.brokers.split(","),
	prefix: options.prefix,
	clientId: options.id,
});
const snapshots = new SqliteSnapshots({ directory: dataDir });
const running = await startBus({ id: options.id, log, snapshots, cluster: true });
const { bus, node } = running;

const heard = new Map<string, EventData[]>();
let told = () => {};

/** Handlers note what they get under the event's name and their own kind. */
function note(key: string) {
	const list = heard.get(key) ?? [];
	heard.set(key, list);
	return (data: EventData) => {
		list.push(data);
		told();
	};
}

const commands = {
	on: (event: string) => bus.on(event, note(`on ${event}`)),
	once: (event: string) => bus.once(event, note(`once ${event}`)),
	/** A handler that takes its time and throws, as some do. */
	onceLate: (event: string) =>
		bus.once(event, async (data) => {
			await new Promise((resolve) => setImmediate(resolve));
			note(`once ${event}`)(data);
			throw new Error("a handler's own fault");
		}),
	off: (event: string) => bus.off(event),
	onLocal: async (event: string) => bus.onLocal(event, note(`local ${event}`)),
	emit: (event: string, data: EventData) => bus.emit(event, data),
	emitLocal: async (event: string, data: EventData) => bus.emitLocal(event, data),
	waitFor: (event: string, timeoutMs: number, match?: EventMatch) =>
		bus.waitFor(event, { timeoutMs, ...(match === undefined ? undefined : { match }) }),
	status: async () => bus.status,
	ends: () => logEnds(running),
	ask: (address: string, type: string) => node.ask(address, { type }, { kind: "query", timeoutMs: 10_000 }),
	/** As soon as there are `count`. */
	heard: async (key: string, count: number) => {
		const list = () => heard.get(key) ?? [];
		while (list().length < count) {
			await new Promise<void>((resolve) => {
				const before = told;
				told = () => {
					before();
					resolve();
				};
			});
		}
		told = () => {};
		return list();
	},
	/** One round after the other: asked for, told to the parent, heard. */
	rounds: async (lane: string, count: number) => {
		for (let round = 0; round < count; round++) {
			const event = `${lane} ${round}`;
			const arrived = Promise.withResolvers<EventData>();
			await bus.on(event, arrived.resolve);
			process.send?.({ subscribed: event });
			const data = await arrived.promise;
			if (data !== event) throw new Error(`${event} brought ${String(data)}`);
			await bus.off(event);
		}
	},
};

process.on("message", async ({ id, name, args }: EventRequest) => {
	const command = commands[name as keyof typeof commands] as (...args: unknown[]) => Promise<unknown>;
	let answer: EventAnswer;
	try {
		answer = { id, value: await command(...args) };
	} catch (error) {
		const { code, message } = error as { code?: string; message: string };
		answer = { id, error: { code: code ?? "", message } };
	}
	process.send?.(answer);
});
process.send?.({ id: 0, value: "ready" } satisfies EventAnswer);
