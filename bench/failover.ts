/**
 * How long records wait when their node dies or leaves: kill -9 of one node after another, under load, and graceful
 * stops. Owns the sequence and what counts; the nodes are those of the failover tests.
 */
import { partitionOf } from "../runtime/address.ts";
import { LedgerCluster, type LedgerProcess } from "../test/kit/ledger-cluster.ts";
import type { LedgerNews } from "../test/kit/ledger-protocol.ts";
import type { Benchmark, Surroundings, Variant } from "./benchmark.ts";
import type { Figure } from "./figures.ts";

const NODES = 3;
const PARTITIONS = 16;
/** Of one round; three rounds make a distribution of 30. */
const KILLS = 10;
const KILLS_QUICK = 1;
/** A command for every partition, every so many milliseconds. */
const LOAD_EVERY_MS = 50;
/** How long a partition may stay without an owner before the benchmark fails, milliseconds. */
const TAKE_OVER_MS_MAX = 60_000;

/** One in every partition of both mailbox topics. */
const ADDRESSES = ["ledger", "slip"].flatMap((type) =>
	Array.from({ length: PARTITIONS }, (_, partition) => {
		let i = 0;
		while (partitionOf(`${type}/${i}`, PARTITIONS) !== partition) i++;
		return `${type}/${i}`;
	}),
);

type Processed = Extract<LedgerNews, { news: "processed" }>;
type Revoked = Extract<LedgerNews, { news: "revoked" }>;

export const failover: Benchmark = {
	name: "failover",
	title: "Failover",
	about:
		`${NODES} nodes without a gateway share ${PARTITIONS} partitions of each mailbox topic; every partition gets commands all the time, ` +
		`through a node that lives. One node in turn gets kill -9 (${KILLS} a round) or is stopped, a new one takes its ` +
		"place, and the next follows when all is quiet. A figure is of one kill or stop, so its highest is the slowest of all. " +
		"First record: handled by a new owner in any of the dead node's partitions; all: in the last of them. " +
		"Gap of a partition: between the last record that the leaving node handled and the first that the next one did.",
	async open(surroundings) {
		const { brokers } = await surroundings.kafka();
		return {
			variants: [variant("default", brokers, surroundings)],
			close: async () => {},
		};
	},
};

function variant(name: string, brokers: string, { quick, progress }: Surroundings): Variant {
	const kills = quick ? KILLS_QUICK : KILLS;
	return {
		name,
		async measure() {
			const cluster = new LedgerCluster({ brokers, partitions: PARTITIONS });
			let started = 0;
			const startOne = () => cluster.spawn(`n${++started}`).started();
			const load = new Load(cluster);
			try {
				await Promise.all(Array.from({ length: NODES }, startOne));
				await cluster.settled();
				load.begin();
				const figures: Figure[] = [];
				for (let i = 0; i < kills; i++) {
					progress(`failover · ${name} · kill ${i + 1}/${kills}`);
					figures.push(...(await killOne(cluster)));
					await startOne();
					await cluster.settled();
				}
				const slowest = Math.max(...figures.map(({ value }) => value));
				figures.push({ metric: "kill -9: slowest of a round", unit: "ms", value: slowest });
				progress(`failover · ${name} · graceful stops`);
				for (let i = 0; i < kills; i++) {
					figures.push(...(await stopOne(cluster)));
					await startOne();
					await cluster.settled();
				}
				return figures;
			} finally {
				load.end();
				await cluster.remove();
			}
		},
	};
}

async function killOne(cluster: LedgerCluster): Promise<Figure[]> {
	const [victim] = cluster.running as [LedgerProcess];
	const { partitions } = await victim.status();
	const since = Date.now();
	await victim.kill9();
	const taken = await Promise.all(partitions.map((partition) => firstAfter(cluster, partition, since)));
	const waits = taken.map(({ at }) => at - since);
	return [
		{ metric: "kill -9: first record", unit: "ms", value: Math.min(...waits) },
		{ metric: "kill -9: all partitions", unit: "ms", value: Math.max(...waits) },
	];
}

async function stopOne(cluster: LedgerCluster): Promise<Figure[]> {
	const [leaving] = cluster.running as [LedgerProcess];
	const { partitions } = await leaving.status();
	const since = Date.now();
	const stopped = leaving.stop();
	const taken = await Promise.all(partitions.map((partition) => firstAfter(cluster, partition, since)));
	await stopped;
	return taken.map(({ partition, at }) => {
		const left = leaving.news.all.findLast(
			(item): item is Revoked => item.news === "revoked" && item.partition === partition,
		);
		return { metric: "graceful stop: gap of a partition", unit: "ms", value: at - (left?.lastAt ?? since) };
	});
}

/** The first record of a partition that one of the running nodes handled after it was assigned to it. */
function firstAfter(cluster: LedgerCluster, partition: string, since: number): Promise<Processed> {
	const fits = (item: LedgerNews): item is Processed =>
		item.news === "processed" && item.partition === partition && item.at > since;
	return Promise.any(
		cluster.running.map(async ({ news }) => {
			return (await news.first(fits, `${partition} to be taken over`, TAKE_OVER_MS_MAX)) as Processed;
		}),
	);
}

/** Commands for every partition, through whichever node lives; what becomes of them is not its matter. */
class Load {
	readonly #cluster: LedgerCluster;
	#sent = 0;
	#timer: NodeJS.Timeout | undefined;

	constructor(cluster: LedgerCluster) {
		this.#cluster = cluster;
	}

	begin(): void {
		this.#timer = setInterval(() => this.#send(), LOAD_EVERY_MS);
	}

	end(): void {
		clearInterval(this.#timer);
	}

	#send(): void {
		// The newest is the last to be struck.
		const process = this.#cluster.running.findLast(({ name, stopping }) => name !== "" && !stopping);
		if (!process) return;
		const n = ++this.#sent;
		for (const to of ADDRESSES) {
			const event = { type: "entry", id: `${to}-${n}`, sender: "load", n, amount: 1, onward: [] };
			void process.call({ op: "tell", to, event, timeoutMs: TAKE_OVER_MS_MAX });
		}
	}
}
