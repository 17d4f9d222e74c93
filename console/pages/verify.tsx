/** Many actors' snapshots beside a fresh fold of the log: which differ, and rebuilding them. Owns the list. */
import { useState } from "preact/hooks";
import type { Api } from "../api.ts";
import type { Survey, Wrong } from "../api-types.ts";
import { useLoad } from "../load.ts";
import { FilterField, trimmed } from "../parts/filters.tsx";
import { moveByArrows } from "../parts/rows.ts";
import { LoadedView } from "../parts/states.tsx";
import { go, hrefOf } from "../routes.ts";
import { number, plural } from "../words.ts";
import type { PageProps } from "./pages.tsx";
import { useRebuild } from "./rebuild-dialog.tsx";
import { WRONG_WORDS } from "./verification-view.tsx";

export function VerifyPage({ api, route }: PageProps) {
	const { type = "", under = "", go: asked } = route.query;
	const [typed, setTyped] = useState({ type, under });
	return (
		<>
			<h1>Verify</h1>
			<p class="soft">
				Folds the histories of actors anew with the machines of now, and compares with what the owners of
				their partitions have stored. Nothing is changed.
			</p>
			<search>
				<form
					class="filters"
					onSubmit={(event) => {
						event.preventDefault();
						// A number of its own, so that the same question can be asked again.
						go(hrefOf("verify", "", { ...trimmed(typed), go: Number(asked ?? 0) + 1 }));
					}}
				>
					<FilterField
						label="Type"
						value={typed.type}
						hint="any"
						size={12}
						onValue={(text) => setTyped({ ...typed, type: text })}
					/>
					<FilterField
						label="Under"
						value={typed.under}
						hint="an address's beginning"
						onValue={(text) => setTyped({ ...typed, under: text })}
					/>
					<button type="submit">Verify</button>
				</form>
			</search>
			{asked !== undefined && <SurveyView key={`${asked} ${type} ${under}`} {...{ api, type, under }} />}
		</>
	);
}

interface SurveyViewProps {
	readonly api: Api;
	readonly type: string;
	readonly under: string;
}

function SurveyView({ api, type, under }: SurveyViewProps) {
	const found = useLoad(`survey ${type} ${under}`, (signal) =>
		api.get<Survey>("verify/many", { type, under }, signal),
	);
	const addresses = found.value?.actors.map(({ address }) => address) ?? [];
	const rebuild = useRebuild(api, addresses, found.reload);
	return (
		<>
			{rebuild.view}
			<LoadedView of={found} what="the comparison">
				{({ checked, records, wrong, skipped, actors, unanswered }) => (
					<>
						<p class={`verdict ${wrong === 0 ? "good" : "bad"}`} role="status">
							{plural(checked, "actor")} with {plural(records, "message")}:{" "}
							{wrong === 0 ? "every snapshot is what the log says." : `${number(wrong)} are not.`}
						</p>
						{unanswered.length > 0 && (
							<p class="failed" role="alert">
								No node answered for {unanswered.join(", ")}: nothing is known of{" "}
								{plural(unanswered.length, "partition")}.
							</p>
						)}
						{skipped.map((one) => (
							<p key={one.skipped} class="soft">
								{one.skipped} was not checked: the log keeps it from offset {number(one.start)} only.
							</p>
						))}
						{actors.length > 0 && (
							<>
								<button type="button" onClick={rebuild.ask}>
									Rebuild {number(actors.length)}
								</button>
								<WrongTable actors={actors} />
							</>
						)}
					</>
				)}
			</LoadedView>
		</>
	);
}

function WrongTable({ actors }: { readonly actors: readonly Wrong[] }) {
	return (
		<div class="table-wrap">
			<table class="wrong" onKeyDown={(event) => moveByArrows(event, "a.row-link")}>
				<thead>
					<tr>
						<th scope="col">Address</th>
						<th scope="col">First difference</th>
						<th scope="col">Stored</th>
						<th scope="col">From the log</th>
					</tr>
				</thead>
				<tbody>
					{actors.map(({ address, reason, path, stored, folded }) => (
						<tr key={address}>
							<th scope="row">
								<a class="row-link mono" href={hrefOf("actor", address)}>
									{address}
								</a>
							</th>
							<td class="mono breaks">{path ?? WRONG_WORDS[reason]}</td>
							<td class="mono breaks">{valueText(stored)}</td>
							<td class="mono breaks">{valueText(folded)}</td>
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}

/** Characters of a value that a row shows; the actor's page has all of it. */
const VALUE_CHARACTERS_MAX = 60;

function valueText(value: unknown): string {
	const text = JSON.stringify(value) ?? "";
	return text.length > VALUE_CHARACTERS_MAX ? `${text.slice(0, VALUE_CHARACTERS_MAX)}…` : text;
}
