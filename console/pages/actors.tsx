/** All actors: search, filter by type, page by page. Owns the form of that list; one actor is actor.tsx. */
import { useState } from "preact/hooks";
import type { ActorRow, ActorsPage as Page } from "../api-types.ts";
import { useLoad } from "../load.ts";
import { FilterField, Filters, useFilters } from "../parts/filters.tsx";
import { moveByArrows } from "../parts/rows.ts";
import { Badge, Empty, LoadedView } from "../parts/states.tsx";
import { hrefOf } from "../routes.ts";
import { number, plural, stateWords } from "../words.ts";
import type { PageProps } from "./pages.tsx";
import { useRebuild } from "./rebuild-dialog.tsx";

const PAGE_ACTORS = 50;

export function ActorsPage({ api, route }: PageProps) {
	const { search = "", type = "", after } = route.query;
	const [typed, change] = useFilters("actors", { search, type });
	const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
	const asked = { search, type, after, limit: PAGE_ACTORS };
	const page = useLoad(JSON.stringify(asked), (signal) => api.get<Page>("actors", asked, signal));
	const rebuild = useRebuild(api, [...chosen], () => {
		setChosen(new Set());
		page.reload();
	});
	/** Also over several pages of the list. */
	const choose = (actors: readonly ActorRow[], isChosen: boolean) => {
		const next = new Set(chosen);
		for (const { address } of actors) isChosen ? next.add(address) : next.delete(address);
		setChosen(next);
	};
	return (
		<>
			<h1>Actors</h1>
			<Filters>
				<FilterField
					label="Search"
					value={typed["search"]}
					hint="part of an address"
					onValue={(text) => change({ search: text })}
				/>
				<FilterField
					label="Type"
					value={typed["type"]}
					hint="any"
					size={12}
					onValue={(text) => change({ type: text })}
				/>
			</Filters>
			{rebuild.view}
			<LoadedView of={page} what="the actors">
				{({ actors, next }) =>
					actors.length === 0 ? (
						<Empty>{search || type ? "No actor is like this." : "There are no actors yet."}</Empty>
					) : (
						<>
							<div class="row">
								<button type="button" disabled={chosen.size === 0} onClick={rebuild.ask}>
									Rebuild {chosen.size > 0 && number(chosen.size)}
								</button>
								<label class="check">
									<input
										type="checkbox"
										checked={actors.every(({ address }) => chosen.has(address))}
										onChange={(event) => choose(actors, event.currentTarget.checked)}
									/>
									All of this page
								</label>
								<span class="soft" role="status">
									{plural(actors.length, "actor")} on this page, {number(chosen.size)} chosen
								</span>
							</div>
							<ActorTable
								actors={actors}
								chosen={chosen}
								onChoose={(actor, isChosen) => choose([actor], isChosen)}
								onType={(one) => change({ type: one })}
							/>
							<nav class="row" aria-label="Pages of the list">
								{after && <a href={hrefOf("actors", "", { search, type })}>First page</a>}
								{next && <a href={hrefOf("actors", "", { search, type, after: next })}>Next page</a>}
							</nav>
						</>
					)
				}
			</LoadedView>
		</>
	);
}

interface ActorTableProps {
	readonly actors: readonly ActorRow[];
	/** Addresses. */
	readonly chosen: ReadonlySet<string>;
	readonly onChoose: (actor: ActorRow, isChosen: boolean) => void;
	readonly onType: (type: string) => void;
}

function ActorTable({ actors, chosen, onChoose, onType }: ActorTableProps) {
	return (
		<div class="table-wrap">
			<table class="actors" onKeyDown={(event) => moveByArrows(event, "a.row-link")}>
				<thead>
					<tr>
						<td />
						<th scope="col">Address</th>
						<th scope="col" class="type-cell">
							Type
						</th>
						<th scope="col">State</th>
						<th scope="col" class="right">
							Offset
						</th>
					</tr>
				</thead>
				<tbody>
					{actors.map((actor) => {
						const { address, type, state, offset, problem, paused } = actor;
						return (
							<tr key={address}>
								<td class="choice">
									<input
										type="checkbox"
										aria-label={`Choose ${address}`}
										checked={chosen.has(address)}
										onChange={(event) => onChoose(actor, event.currentTarget.checked)}
									/>
								</td>
								<th scope="row">
									<a class="row-link mono" href={hrefOf("actor", address)}>
										{address}
									</a>
								</th>
								<td class="type-cell">
									<button
										type="button"
										class="chip"
										aria-label={`Only ${type}`}
										tabIndex={-1}
										onClick={() => onType(type)}
									>
										{type}
									</button>
								</td>
								<td>
									{state !== undefined && <Badge tone="accent">{stateWords(state)}</Badge>}{" "}
									{paused && <Badge tone="warn">paused</Badge>}{" "}
									{problem && <Badge tone="bad">{problem}</Badge>}
								</td>
								<td class="right">{offset === undefined ? "" : number(offset)}</td>
							</tr>
						);
					})}
				</tbody>
			</table>
		</div>
	);
}
