/** The node at a glance: health with its reasons, rates, nodes and partitions. Owns turning counters into rates. */
import { useRef } from "preact/hooks";
import type { Overview, PartitionRow } from "../api-types.ts";
import { useLoad } from "../load.ts";
import { LiveChart } from "../parts/live-chart.tsx";
import { Badge, LoadedView } from "../parts/states.tsx";
import { hrefOf } from "../routes.ts";
import { number, plural, time } from "../words.ts";
import type { PageProps } from "./pages.tsx";

const EVERY_MS = 2_000;
/** A node does not wait so long for its log or for other nodes, milliseconds. */
const ANSWER_MS_MAX = 10_000;
/** Partitions past which a topic without trouble is closed at first. */
const ROWS_OPEN_MAX = 16;
/** Points of a chart: five minutes of them. */
const POINTS_MAX = 150;

const RATES = [
	{ counter: "records", title: "Records handled", unit: "/s" },
	{ counter: "calls", title: "Calls", unit: "/s" },
	{ counter: "frames", title: "Frames", unit: "/s" },
	{ counter: "deadLetters", title: "Dead letters", unit: "/s", tone: "bad" },
] as const;

const COUNT_WORDS: Readonly<Record<string, { label: string; href?: string }>> = {
	actors: { label: "Actors", href: hrefOf("actors") },
	workspaces: { label: "Workspaces", href: hrefOf("workspaces") },
	clients: { label: "Clients" },
	connections: { label: "Connections" },
	deadLetters: { label: "Dead letters", href: hrefOf("dead-letters") },
};

interface Series {
	times: number[];
	rates: Record<string, (number | null)[]>;
	lag: number[];
	last: Overview["counters"] | undefined;
}

export function OverviewPage({ api }: PageProps) {
	const ask = (signal: AbortSignal) => api.get<Overview>("overview", {}, signal, ANSWER_MS_MAX);
	const overview = useLoad("overview", ask, EVERY_MS);
	const series = useRef<Series>({ times: [], rates: {}, lag: [], last: undefined });
	if (overview.value) grow(series.current, overview.value);
	const { times, rates, lag } = series.current;
	return (
		<>
			<h1>Overview</h1>
			<LoadedView of={overview} what="the overview">
				{(value) => (
					<>
						<Health {...value} />
						<section aria-labelledby="rates">
							<h2 id="rates">Rates of this node</h2>
							<div class="charts">
								{RATES.map(({ counter, ...chart }) => (
									<LiveChart key={counter} {...chart} times={times} values={rates[counter] ?? []} />
								))}
								<LiveChart title="Lag" unit="records" times={times} values={lag} />
							</div>
						</section>
						<Partitions {...value} />
					</>
				)}
			</LoadedView>
		</>
	);
}

function grow(series: Series, { counters, partitions }: Overview): void {
	const { last } = series;
	if (last?.now === counters.now) return;
	const seconds = last ? (counters.now - last.now) / 1_000 : 0;
	series.times.push(counters.now / 1_000);
	series.lag.push(partitions.reduce((sum, { lag = 0 }) => sum + lag, 0));
	for (const { counter } of RATES) {
		// A node that was started anew counts from 0 again.
		const grown = (counters[counter] ?? 0) - (last?.[counter] ?? 0);
		const values = series.rates[counter] ?? [];
		values.push(seconds > 0 && grown >= 0 ? grown / seconds : null);
		series.rates[counter] = values.slice(-POINTS_MAX);
	}
	series.times = series.times.slice(-POINTS_MAX);
	series.lag = series.lag.slice(-POINTS_MAX);
	series.last = counters;
}

function Health({ node, version, health, counts }: Overview) {
	return (
		<section class="cards" aria-label="Health and counts">
			<div class={`card health ${health.ready ? "good" : "bad"}`}>
				<h2>
					<Badge tone={health.ready ? "good" : "bad"}>{health.ready ? "Ready" : "Not ready"}</Badge>
					<span class="mono">{node}</span>
				</h2>
				<p class="soft">
					Version {version}, log <strong>{health.log}</strong> is {health.status}
				</p>
				{health.reasons.length > 0 && (
					<ul class="reasons">
						{health.reasons.map((reason) => (
							<li key={reason}>{reason}</li>
						))}
					</ul>
				)}
			</div>
			{Object.entries(counts).map(([name, count]) => {
				const { label, href } = COUNT_WORDS[name] ?? { label: name };
				return (
					<div key={name} class="card count">
						<span class="figure">{number(count)}</span>
						{href ? <a href={href}>{label}</a> : <span>{label}</span>}
					</div>
				);
			})}
		</section>
	);
}

function Partitions({ nodes, partitions, node }: Overview) {
	const byTopic = Map.groupBy(partitions, ({ topic }) => topic);
	return (
		<section aria-labelledby="partitions">
			<h2 id="partitions">Nodes and partitions</h2>
			<p>
				{plural(nodes.length, "node")}:{" "}
				{nodes.map((name) => (
					<span key={name} class="mono node-name">
						{name}
						{name === node && " (this one)"}
					</span>
				))}
			</p>
			{partitions.map(
				({ topic, partition, stalledOn }) =>
					stalledOn && (
						<div key={`${topic}/${partition}`} class="failed" role="alert">
							<p>
								<strong>
									{topic}/{partition} does not get on.
								</strong>{" "}
								It has stood on offset {number(stalledOn.offset)} since {time(stalledOn.since)}
								{stalledOn.address && (
									<>
										, a message of type <code>{stalledOn.type}</code> for{" "}
										<a class="mono" href={hrefOf("actor", stalledOn.address)}>
											{stalledOn.address}
										</a>
									</>
								)}
								.
							</p>
						</div>
					),
			)}
			{[...byTopic].map(([topic, rows]) => (
				<Topic key={topic} topic={topic} rows={rows} />
			))}
		</section>
	);
}

function Topic({ topic, rows }: { readonly topic: string; readonly rows: readonly PartitionRow[] }) {
	const lag = rows.reduce((sum, row) => sum + (row.lag ?? 0), 0);
	const calm = rows.every(({ live, stalledOn }) => live !== false && !stalledOn) && lag === 0;
	return (
		<details class="topic" open={!calm || rows.length <= ROWS_OPEN_MAX}>
			<summary>
				<span class="mono">{topic}</span>
				<span class="soft">
					{plural(rows.length, "partition")}, lag {number(lag)}
					{calm && ", all well"}
				</span>
			</summary>
			<div class="table-wrap">
				<table class="dense">
					<thead>
						<tr>
							<th scope="col">Partition</th>
							<th scope="col">Owner</th>
							<th scope="col">State</th>
							<th scope="col" class="right wide-only">
								Next
							</th>
							<th scope="col" class="right wide-only">
								End
							</th>
							<th scope="col" class="right">
								Lag
							</th>
						</tr>
					</thead>
					<tbody>
						{rows.map((row) => (
							<tr key={row.partition}>
								<th scope="row">{row.partition}</th>
								<td class="mono">{row.owner ?? <span class="soft">another node</span>}</td>
								<td>
									<PartitionState {...row} />
								</td>
								<td class="right wide-only">{row.next === undefined ? "" : number(row.next)}</td>
								<td class="right wide-only">{number(row.end)}</td>
								<td class="right">{row.lag ? <strong>{number(row.lag)}</strong> : row.lag}</td>
							</tr>
						))}
					</tbody>
				</table>
			</div>
		</details>
	);
}

function PartitionState({ live, stalledOn, owner }: PartitionRow) {
	if (stalledOn !== undefined) return <Badge tone="bad">stands on {stalledOn.offset}</Badge>;
	if (owner === undefined) return null;
	return live ? <Badge tone="good">live</Badge> : <Badge tone="warn">recovering</Badge>;
}
