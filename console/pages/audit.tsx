/** Who did what to which actor, and why, newest first. Owns the list; the records are in the actors' mailboxes. */
import type { AuditEntry } from "../api-types.ts";
import { useLoad } from "../load.ts";
import { FilterField, Filters, useFilters } from "../parts/filters.tsx";
import { Json } from "../parts/json.tsx";
import { Badge, Empty, LoadedView, type Tone } from "../parts/states.tsx";
import { hrefOf } from "../routes.ts";
import { time } from "../words.ts";
import type { PageProps } from "./pages.tsx";

const ENTRIES_MAX = 200;
const TONES: Readonly<Record<AuditEntry["outcome"], Tone>> = { done: "good", refused: "bad", asked: "warn" };

export function AuditPage({ api, route }: PageProps) {
	const { address = "", by = "" } = route.query;
	const asked = { address, by, limit: ENTRIES_MAX };
	const audit = useLoad(JSON.stringify(asked), (signal) =>
		api.get<{ entries: readonly AuditEntry[] }>("audit", asked, signal),
	);
	const [typed, change] = useFilters("audit", { address, by });
	return (
		<>
			<h1>Audit</h1>
			<Filters>
				<FilterField
					label="Actor"
					value={typed["address"]}
					hint="type/id"
					onValue={(text) => change({ address: text })}
				/>
				<FilterField
					label="By"
					value={typed["by"]}
					hint="a user's id"
					onValue={(text) => change({ by: text })}
				/>
			</Filters>
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
