/**
 * How long records wait when their node dies or leaves: kill -9 of one node after another, under load, and graceful
 * stops. Owns the sequence and what counts; the nodes are those of the failover tests.
 */
import { partitionOf } from "../runtime/address.ts";
import { LedgerCluster, type LedgerClusterOptions, type LedgerProcess } from "../test/kit/ledger-cluster.ts";
import type { LedgerNews } from "../test/kit/ledger-protocol.ts";
import type { Benchmark, Surroundings, Variant } from "./benchmark.ts";
import type { Figure } from "./figures.ts";

const NODES = 3;
const PARTITIONS = 16;
/** Their snapshots are what the next owner of one partition needs. */
const ACTORS_OF_ONE = 10_000;
const ACTORS_OF_ONE_QUICK = 500;
/** Commands under way while those actors are made. */
const MAKING_MAX = 1_000;
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

const FIRST_RECORD = "kill -9: first record";
/** Where the many actors are. */
const LARGE = "actors/0";

type Processed = Extract<LedgerNews, { news: "processed" }>;
type Members = Extract<LedgerNews, { news: "members" }>;
type Taken = Processed & { readonly by: LedgerProcess };
type Revoked = Extract<LedgerNews, { news: "revoked" }>;

export const failover: Benchmark = {
	name: "failover",
	title: "Failover",
	about:
		"Default options, `--takeover-after-ms 1500`, and `--standby-replicas 1`. " +
		`${NODES} nodes without a gateway share ${PARTITIONS} partitions of each mailbox topic; every partition gets commands all the time, ` +
		`through a node that lives. One node in turn gets kill -9 (${KILLS} a round) or is stopped, a new one takes its ` +
		"place, and the next follows when all is quiet. A figure is of one kill or stop, so its highest is the slowest of all. " +
		"First record: handled by a new owner in any of the dead node's partitions; all: in the last of them. " +
		`After detection: from the moment at which the new owner hears that the dead node is none of the members any more, in a partition of ${ACTORS_OF_ONE.toLocaleString("en-US")} actors, which every node that dies owns. ` +
		"Gap of a partition: between the last record that the leaving node handled and the first that the next one did.",
	async open(surroundings) {
		const { brokers } = await surroundings.kafka();
		return {
			variants: [
				variant("default", { brokers }, surroundings),
				variant("takeover after 1.5 s", { brokers, takeoverAfterMs: 1_500 }, surroundings),
				variant("warm standby", { brokers, standbyReplicas: 1 }, surroundings),
			],
			close: async () => {},
		};
	},
};

function variant(name: string, options: LedgerClusterOptions, { quick, progress }: Surroundings): Variant {
	const kills = quick ? KILLS_QUICK : KILLS;
	return {
		name,
		async measure() {
			const cluster = new LedgerCluster({ ...options, partitions: PARTITIONS });
			let started = 0;
			const startOne = () => cluster.spawn(`n${++started}`).started();
			const load = new Load(cluster);
			try {
				await Promise.all(Array.from({ length: NODES }, startOne));
				await cluster.settled();
				progress(`failover · ${name} · making actors`);
				await makeActors(cluster, quick ? ACTORS_OF_ONE_QUICK : ACTORS_OF_ONE);
				load.begin();
				const figures: Figure[] = [];
				for (let i = 0; i < kills; i++) {
					progress(`failover · ${name} · kill ${i + 1}/${kills}`);
					figures.push(...(await killOne(cluster)));
					await startOne();
					await cluster.settled();
				}
				const slowest = Math.max(
					...figures.filter(({ metric }) => metric === FIRST_RECORD).map(({ value }) => value),
				);
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
	const victim = (await cluster.ownerOf(LARGE)) as LedgerProcess;
	const { partitions, name } = await victim.status();
	// Written every two seconds: what dies before is folded from the log, which is not what is meant here.
	await victim.until(({ checkpoints }) => checkpoints > 0, "done with a checkpoint");
	const since = Date.now();
	await victim.kill9();
	const taken = await Promise.all(partitions.map((partition) => firstAfter(cluster, partition, since)));
	const waits = taken.map(({ at }) => at - since);
	const large = taken.find(({ partition }) => partition === LARGE) as Taken;
	const detected = large.by.news.all.find(
		(item): item is Members => item.news === "members" && item.at > since && !item.names.includes(name),
	) as Members;
	return [
		{ metric: "kill -9: after detection, 10,000 actors", unit: "ms", value: large.at - detected.at },
		{ metric: FIRST_RECORD, unit: "ms", value: Math.min(...waits) },
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
function firstAfter(cluster: LedgerCluster, partition: string, since: number): Promise<Taken> {
	const fits = (item: LedgerNews): item is Processed =>
		item.news === "processed" && item.partition === partition && item.at > since;
	return Promise.any(
		cluster.running.map(async (by) => {
			const what = `${partition} to be taken over`;
			return { by, ...((await by.news.first(fits, what, TAKE_OVER_MS_MAX)) as Processed) };
		}),
	);
}

async function makeActors(cluster: LedgerCluster, count: number): Promise<void> {
	const [sender] = cluster.running as [LedgerProcess];
	const waiting = new Set<Promise<unknown>>();
	for (let i = 0, made = 0; made < count; i++) {
		const to = `ledger/many-${i}`;
		if (partitionOf(to, PARTITIONS) !== 0) continue;
		made++;
		const event = { type: "entry", id: to, sender: "maker", n: 1, amount: 1, onward: [] };
		const sent = sender.must({ op: "tell", to, event, timeoutMs: TAKE_OVER_MS_MAX });
		waiting.add(sent);
		void sent.finally(() => waiting.delete(sent));
		if (waiting.size >= MAKING_MAX) await Promise.race(waiting);
	}
	await Promise.all(waiting);
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
