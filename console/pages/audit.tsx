/** Who did what to which actor, and why, newest first. Owns the list; the records are in the actors' mailboxes. */
import { useState } from "preact/hooks";
import type { AuditEntry } from "../api-types.ts";
import { useLoad } from "../load.ts";
import { Json } from "../parts/json.tsx";
import { Badge, Empty, LoadedView, type Tone } from "../parts/states.tsx";
import { go, hrefOf } from "../routes.ts";
import { time } from "../words.ts";
import type { PageProps } from "./pages.tsx";

const ENTRIES_MAX = 200;
const TYPING_MS = 250;
const TONES: Readonly<Record<AuditEntry["outcome"], Tone>> = { done: "good", refused: "bad", asked: "warn" };

export function AuditPage({ api, route }: PageProps) {
	const { address = "", by = "" } = route.query;
	const asked = { address, by, limit: ENTRIES_MAX };
	const audit = useLoad(JSON.stringify(asked), (signal) =>
		api.get<{ entries: readonly AuditEntry[] }>("audit", asked, signal),
	);
	const [typed, setTyped] = useState({ address, by });
	const [timer] = useState<{ id?: ReturnType<typeof setTimeout> }>({});
	const change = (part: Partial<typeof typed>) => {
		const next = { ...typed, ...part };
		setTyped(next);
		clearTimeout(timer.id);
		timer.id = setTimeout(() => go(hrefOf("audit", "", next), true), TYPING_MS);
	};
	return (
		<>
			<h1>Audit</h1>
			<search>
				<form class="filters" onSubmit={(event) => event.preventDefault()}>
					<label>
						Actor
						<input
							value={typed.address}
							placeholder="type/id"
							onInput={(event) => change({ address: event.currentTarget.value.trim() })}
						/>
					</label>
					<label>
						By
						<input
							value={typed.by}
							placeholder="a user's id"
							onInput={(event) => change({ by: event.currentTarget.value.trim() })}
						/>
					</label>
				</form>
			</search>
			<LoadedView of={audit} what="the audit">
				{({ entries }) =>
					entries.length === 0 ? (
						<Empty>
							{address || by ? "Nothing of this kind was done." : "No operator has changed an actor."}
						</Empty>
					) : (
						<ol class="audit">
							{entries.map((entry) => (
								<Row key={`${entry.partition}@${entry.offset}`} {...entry} />
							))}
						</ol>
					)
				}
			</LoadedView>
		</>
	);
}

function Row({ address, offset, timestamp, what, by, why, outcome, details }: AuditEntry) {
	return (
		<li class="card">
			<div class="row">
				<strong>{what}</strong>
				<a class="mono breaks" href={hrefOf("actor", address, { at: offset })}>
					{address}
				</a>
				<Badge tone={TONES[outcome]}>{outcome}</Badge>
				<span class="soft when">{time(timestamp)}</span>
			</div>
			<p class="breaks">
				<span class="soft">{by ?? "nobody named"}:</span> {why}
			</p>
			{details !== undefined && (
				<details>
					<summary>Details</summary>
					<Json value={details} />
				</details>
			)}
		</li>
	);
}
