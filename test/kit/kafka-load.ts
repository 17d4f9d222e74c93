/**
 * Writers over one Kafka log while its brokers are killed, and what must hold afterwards. Owns what was acknowledged
 * and the comparison with the whole log, read back.
 */
import { Appender } from "../../persistence/appender.ts";
import type { Log, LogRecord, NewRecord, PartitionId } from "../../persistence/log.ts";

/** More than one a partition, so that batches form and mix. */
const WRITERS = 24;
/** Between an acknowledgement and the writer's next record, milliseconds: what is looked for is loss, not speed. */
const PAUSE_MS = 5;
const READ = { maxRecords: 10_000, waitMs: 0 };

interface Acknowledged {
	readonly text: string;
	readonly offset: number;
}

interface Writer {
	readonly name: string;
	readonly partition: number;
	/** The number of its next record; a record's text is `name/number`. */
	next: number;
}

export interface Findings {
	/** Acknowledged, and not where the acknowledgement said. */
	readonly lost: string[];
	/** In the log more than once, acknowledged or not. */
	readonly doubled: string[];
	/** Before an earlier one of the same writer. */
	readonly outOfOrder: string[];
	readonly acknowledged: number;
	readonly inLog: number;
}

export class KafkaLoad {
	readonly #log: Log;
	readonly #appender: Appender;
	readonly #topic: string;
	readonly #partitions: number;
	readonly #writers: readonly Writer[];
	/** By partition. */
	readonly #acknowledged: Acknowledged[][];
	#running: Promise<unknown> | undefined;
	#stopping = false;
	#waiting: (() => void)[] = [];

	constructor(log: Log, topic: string, partitions: number) {
		this.#log = log;
		this.#appender = new Appender(log);
		this.#topic = topic;
		this.#partitions = partitions;
		this.#acknowledged = Array.from({ length: partitions }, () => []);
		this.#writers = Array.from({ length: Math.max(WRITERS, 4 * partitions) }, (_, i) => {
			return { name: `writer-${i}`, partition: i % partitions, next: 0 };
		});
	}

	start(): void {
		this.#stopping = false;
		this.#running = Promise.all(this.#writers.map((writer) => this.#write(writer)));
	}

	/** Resolves when everything that was under way is acknowledged. */
	async stop(): Promise<void> {
		this.#stopping = true;
		await this.#running;
	}

	get acknowledged(): number {
		return this.#acknowledged.reduce((sum, of) => sum + of.length, 0);
	}

	/** Resolves when every partition has acknowledged so many more. */
	async more(count: number): Promise<void> {
		const wanted = this.#acknowledged.map((of) => of.length + count);
		const missing = () =>
			this.#acknowledged.some((of, partition) => of.length < (wanted[partition] as number));
		while (missing()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
	}

	/** Read everything back and compare. */
	async findings(): Promise<Findings> {
		const findings = { lost: [] as string[], doubled: [] as string[], outOfOrder: [] as string[] };
		let inLog = 0;
		for (let partition = 0; partition < this.#partitions; partition++) {
			const id = { topic: this.#topic, partition };
			const records = await readWhole(this.#log, id);
			inLog += records.length;
			const at = new Map<number, string>();
			const seen = new Set<string>();
			const newest = new Map<string, number>();
			for (const { offset, value } of records) {
				const text = Buffer.from(value).toString();
				const [name, number] = text.split("/") as [string, string];
				at.set(offset, text);
				if (seen.has(text)) findings.doubled.push(`${partition}: ${text}`);
				seen.add(text);
				if (Number(number) < (newest.get(name) ?? 0)) findings.outOfOrder.push(`${partition}: ${text}`);
				newest.set(name, Number(number));
			}
			for (const { text, offset } of this.#acknowledged[partition] as Acknowledged[]) {
				if (at.get(offset) !== text) findings.lost.push(`${partition}: ${text} at ${offset}`);
			}
		}
		return { ...findings, acknowledged: this.acknowledged, inLog };
	}

	async #write(writer: Writer): Promise<void> {
		const { name, partition } = writer;
		while (!this.#stopping) {
			const text = `${name}/${writer.next++}`;
			const offset = await this.#appender.append({ topic: this.#topic, partition }, record(text));
			this.#acknowledged[partition]?.push({ text, offset });
			for (const wake of this.#waiting.splice(0)) wake();
			await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
		}
	}
}

function record(text: string): NewRecord {
	return { key: "", value: Buffer.from(text), headers: {}, timestamp: Date.now() };
}

async function readWhole(log: Log, id: PartitionId): Promise<LogRecord[]> {
	const { start, end } = await log.bounds(id);
	const all: LogRecord[] = [];
	for (let next = start; next < end; ) {
		const page = await log.read(id, next, READ);
		const last = page.at(-1);
		if (!last) break;
		all.push(...page);
		next = last.offset + 1;
	}
	return all;
}
