/** One message of an actor: payload, effects, timers, and the state it led to. Owns how they stand beside each other. */
import { useEffect, useState } from "preact/hooks";
import type { Api } from "../api.ts";
import type { ActorDetail, Entry, HistoryOutcome, Timer } from "../api-types.ts";
import { machineValueOf } from "../chart/model.ts";
import { useLoad } from "../load.ts";
import { Json } from "../parts/json.tsx";
import { Badge, Failed, type Tone } from "../parts/states.tsx";
import { hrefOf } from "../routes.ts";
import { ago, number, time } from "../words.ts";

export const OUTCOME_TONES: Readonly<Record<HistoryOutcome, Tone>> = {
	folded: "good",
	passed: "plain",
	repeat: "warn",
	failed: "bad",
};

/** XState's name for the timer of a delay. */
const DELAYED = /^xstate\.after\.([^.]+)\.(.*)$/;
/** Milliseconds that a message is looked at before its timers are asked for. */
const STAYS_MS = 150;

export interface EntryViewProps {
	readonly api: Api;
	readonly actor: ActorDetail;
	readonly entry: Entry;
	readonly before: Entry | undefined;
	readonly isNewest: boolean;
	/** Why it became a dead letter, if it did. */
	readonly cause: string | undefined;
}

export function EntryView({ api, actor, entry, before, isNewest, cause }: EntryViewProps) {
	const { offset, timestamp, kind, type, from, event, outcome, error, state, value, effects } = entry;
	return (
		<div class="entry">
			<h2>
				<span class="mono">{type}</span> {outcome && <Badge tone={OUTCOME_TONES[outcome]}>{outcome}</Badge>}
			</h2>
			<dl class="facts">
				<dt>Offset</dt>
				<dd>
					{number(offset)}
					{isNewest && " (newest)"}
				</dd>
				<dt>Time</dt>
				<dd>
					{time(timestamp)} <span class="soft">{ago(timestamp)}</span>
				</dd>
				<dt>Kind</dt>
				<dd>{kind}</dd>
				<dt>Sender</dt>
				<dd>
					{from === undefined ? (
						<span class="soft">from outside</span>
					) : (
						<a class="mono" href={hrefOf("actor", from)}>
							{from}
						</a>
					)}
				</dd>
				<dt>State after</dt>
				<dd>
					{state === undefined ? (
						<Folding />
					) : (
						<>
							{before?.state !== undefined && before.state !== state && (
								<span class="soft">{before.state} → </span>
							)}
							<Badge tone="accent">{state}</Badge>
						</>
					)}
				</dd>
			</dl>
			{(error ?? cause) && (
				<p class="failed" role="note">
					<span>{error ?? cause}</span>
				</p>
			)}
			<Part title="Payload" open>
				<Json key={offset} value={event} />
			</Part>
			<Part title={effects ? `Effects (${effects.length})` : "Effects"} open>
				{!effects ? (
					<Folding />
				) : effects.length === 0 ? (
					<p class="soft">None.</p>
				) : (
					<ol class="effects">
						{effects.map((effect, i) => {
							const { type: name, ...rest } = effect as { type: string };
							return (
								<li key={`${offset}.${i}`}>
									<Badge>{name}</Badge>
									<Json value={rest} />
								</li>
							);
						})}
					</ol>
				)}
			</Part>
			{isNewest && offset >= actor.offset ? (
				<TimerList timers={actor.timers} />
			) : (
				<Timers api={api} address={actor.address} offset={offset} />
			)}
			<Part title="State data" open>
				{value === undefined ? (
					<Folding />
				) : (
					<Json
						key={offset}
						value={contextOf(value)}
						before={before?.value === undefined ? undefined : { value: contextOf(before.value) }}
					/>
				)}
			</Part>
		</div>
	);
}

interface PartProps {
	readonly title: string;
	readonly open?: boolean;
	readonly children: preact.ComponentChildren;
}

function Part({ title, open, children }: PartProps) {
	return (
		<details open={open}>
			<summary>
				<h3>{title}</h3>
			</summary>
			{children}
		</details>
	);
}

/** A long history is folded for it, once. */
function Folding() {
	return <span class="soft">folding the history…</span>;
}

interface Then {
	readonly timers: readonly Timer[];
}

interface TimersProps {
	readonly api: Api;
	readonly address: string;
	readonly offset: number;
}

function Timers({ api, address, offset }: TimersProps) {
	const [settled, setSettled] = useState(offset);
	useEffect(() => {
		const timer = setTimeout(() => setSettled(offset), STAYS_MS);
		return () => clearTimeout(timer);
	}, [offset]);
	const then = useLoad(`${address}@${settled}`, (signal) =>
		api.get<Then>("state", { address, offset: settled }, signal),
	);
	if (then.error) return <Failed error={then.error} what="the timers" />;
	return <TimerList timers={settled === offset ? then.value?.timers : undefined} />;
}

function TimerList({ timers }: { readonly timers: readonly Timer[] | undefined }) {
	return (
		<Part title={timers ? `Timers (${timers.length})` : "Timers"} open>
			{timers === undefined ? (
				<Folding />
			) : timers.length === 0 ? (
				<p class="soft">None.</p>
			) : (
				<ul class="timers">
					{timers.map(({ id, at }) => (
						<li key={id}>
							<span class="mono">{id.replace(DELAYED, "after $1 in $2")}</span>{" "}
							<span class="soft">due {time(at)}</span>
						</li>
					))}
				</ul>
			)}
		</Part>
	);
}

/** Of a machine its data: where it is stands in the chart. */
function contextOf(value: unknown): unknown {
	const stored = value as {
		readonly machine?: { readonly context?: unknown };
		readonly context?: unknown;
	} | null;
	if (machineValueOf(value) === undefined) return value;
	return stored?.machine ? stored.machine.context : stored?.context;
}
