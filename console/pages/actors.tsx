/** All actors: search, filter by type, page by page. Owns the form of that list; one actor is actor.tsx. */
import { useState } from "preact/hooks";
import type { ActorRow, ActorsPage as Page } from "../api-types.ts";
import { useLoad } from "../load.ts";
import { moveByArrows } from "../parts/rows.ts";
import { Badge, Empty, LoadedView } from "../parts/states.tsx";
import { go, hrefOf } from "../routes.ts";
import { number, plural, stateWords } from "../words.ts";
import type { PageProps } from "./pages.tsx";

const PAGE_ACTORS = 50;
/** Milliseconds after the last key before the search is made. */
const TYPING_MS = 250;

export function ActorsPage({ api, route }: PageProps) {
	const { search = "", type = "", after } = route.query;
	const [typed, setTyped] = useState({ search, type });
	const asked = { search, type, after, limit: PAGE_ACTORS };
	const page = useLoad(JSON.stringify(asked), (signal) => api.get<Page>("actors", asked, signal));
	const [timer] = useState<{ id?: ReturnType<typeof setTimeout> }>({});
	const type_ = (change: Partial<typeof typed>) => {
		const next = { ...typed, ...change };
		setTyped(next);
		clearTimeout(timer.id);
		timer.id = setTimeout(() => go(hrefOf("actors", "", next), true), TYPING_MS);
	};
	return (
		<>
			<h1>Actors</h1>
			<search>
				<form class="filters" onSubmit={(event) => event.preventDefault()}>
					<label>
						Search
						<input
							type="search"
							value={typed.search}
							placeholder="part of an address"
							onInput={(event) => type_({ search: event.currentTarget.value })}
						/>
					</label>
					<label>
						Type
						<input
							value={typed.type}
							placeholder="any"
							size={12}
							onInput={(event) => type_({ type: event.currentTarget.value.trim() })}
						/>
					</label>
				</form>
			</search>
			<LoadedView of={page} what="the actors">
				{({ actors, next }) =>
					actors.length === 0 ? (
						<Empty>{search || type ? "No actor is like this." : "There are no actors yet."}</Empty>
					) : (
						<>
							<p class="soft" role="status">
								{plural(actors.length, "actor")} on this page
							</p>
							<ActorTable actors={actors} onType={(one) => type_({ type: one })} />
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
	readonly onType: (type: string) => void;
}

function ActorTable({ actors, onType }: ActorTableProps) {
	return (
		<div class="table-wrap">
			<table class="actors" onKeyDown={(event) => moveByArrows(event, "a.row-link")}>
				<thead>
					<tr>
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
					{actors.map(({ address, type, state, offset, problem, paused }) => (
						<tr key={address}>
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
								{paused && <Badge tone="warn">paused</Badge>} {problem && <Badge tone="bad">{problem}</Badge>}
							</td>
							<td class="right">{offset === undefined ? "" : number(offset)}</td>
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}
