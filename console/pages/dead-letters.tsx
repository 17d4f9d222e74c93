/** Messages that failed: filter, look at one, send again or drop. Owns the list and what is chosen in it. */
import { useState } from "preact/hooks";
import type { Api } from "../api.ts";
import type { Letter, LettersDone, LettersPage } from "../api-types.ts";
import { useLoad } from "../load.ts";
import { Confirm } from "../parts/confirm.tsx";
import { FilterField, Filters, trimmed, useFilters } from "../parts/filters.tsx";
import { Badge, Empty, LoadedView, type Tone } from "../parts/states.tsx";
import { hrefOf } from "../routes.ts";
import { number, plural, time } from "../words.ts";
import { LetterView } from "./letter-view.tsx";
import type { PageProps } from "./pages.tsx";

const PAGE_LETTERS = 50;
const STATUSES = ["open", "retried", "dropped", "all"] as const;
const TONES: Readonly<Record<Letter["status"], Tone>> = { open: "bad", retried: "good", dropped: "plain" };
const FILTERS = [
	{ name: "address", label: "Actor", hint: "type/id, or type/" },
	{ name: "type", label: "Message", hint: "its type" },
	{ name: "cause", label: "Cause", hint: "part of it" },
] as const;

type Work = "retry" | "drop";

export function DeadLettersPage({ api, route }: PageProps) {
	const { status = "open", after, ...filter } = route.query;
	const asked = { ...filter, after, limit: PAGE_LETTERS, status: status === "all" ? undefined : status };
	const page = useLoad(JSON.stringify(asked), (signal) =>
		api.get<LettersPage>("dead-letters", asked, signal),
	);
	const [typed, type] = useFilters("dead-letters", { ...filter, status });
	const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
	const [open, setOpen] = useState<string>();
	const [work, setWork] = useState<Work>();
	const [done, setDone] = useState("");
	const change = (name: string, value: string) => {
		type({ [name]: value });
		setChosen(new Set());
	};
	const choose = (ids: readonly string[], isChosen: boolean) => {
		const next = new Set(chosen);
		for (const id of ids) isChosen ? next.add(id) : next.delete(id);
		setChosen(next);
	};
	return (
		<>
			<h1>Dead letters</h1>
			<Filters>
				<label>
					Status
					<select value={typed["status"]} onChange={(event) => change("status", event.currentTarget.value)}>
						{STATUSES.map((one) => (
							<option key={one}>{one}</option>
						))}
					</select>
				</label>
				{FILTERS.map(({ name, label, hint }) => (
					<FilterField
						key={name}
						label={label}
						value={typed[name]}
						hint={hint}
						onValue={(text) => change(name, text)}
					/>
				))}
			</Filters>
			<p role="status" class="done">
				{done}
			</p>
			<LoadedView of={page} what="the dead letters">
				{({ letters, next }) =>
					letters.length === 0 ? (
						<Empty>
							{status === "open" && Object.keys(filter).length === 0
								? "No dead letters: every message was handled."
								: "No dead letter is like this."}
						</Empty>
					) : (
						<>
							<div class="row">
								<button type="button" disabled={chosen.size === 0} onClick={() => setWork("retry")}>
									Retry {chosen.size > 0 && number(chosen.size)}
								</button>
								<button type="button" disabled={chosen.size === 0} onClick={() => setWork("drop")}>
									Drop {chosen.size > 0 && number(chosen.size)}
								</button>
								<label class="check">
									<input
										type="checkbox"
										disabled={openOf(letters).length === 0}
										checked={openOf(letters).length > 0 && openOf(letters).every((id) => chosen.has(id))}
										onChange={(event) => choose(openOf(letters), event.currentTarget.checked)}
									/>
									All of this page
								</label>
								<span class="soft">
									{plural(letters.length, "letter")} on this page, {number(chosen.size)} chosen
								</span>
							</div>
							<LetterTable {...{ api, letters, chosen, choose, open, setOpen }} />
							<nav class="row" aria-label="Pages of the list">
								{after && <a href={hrefOf("dead-letters", "", trimmed(typed))}>First page</a>}
								{next && (
									<a href={hrefOf("dead-letters", "", { ...trimmed(typed), after: next })}>Next page</a>
								)}
							</nav>
						</>
					)
				}
			</LoadedView>
			{work && (
				<WorkDialog
					api={api}
					work={work}
					ids={[...chosen]}
					onDone={(words) => {
						setDone(words);
						setChosen(new Set());
						page.reload();
					}}
					onClose={() => setWork(undefined)}
				/>
			)}
		</>
	);
}

function openOf(letters: readonly Letter[]): readonly string[] {
	return letters.filter(({ status }) => status === "open").map(({ id }) => id);
}

interface LetterTableProps {
	readonly api: Api;
	readonly letters: readonly Letter[];
	readonly chosen: ReadonlySet<string>;
	readonly choose: (ids: readonly string[], isChosen: boolean) => void;
	/** Id of the one that is looked at. */
	readonly open: string | undefined;
	readonly setOpen: (id: string | undefined) => void;
}

function LetterTable({ api, letters, chosen, choose, open, setOpen }: LetterTableProps) {
	return (
		<div class="table-wrap">
			<table class="letters">
				<thead>
					<tr>
						<td />
						<th scope="col">Actor</th>
						<th scope="col">Message</th>
						<th scope="col">Cause</th>
						<th scope="col">Parked</th>
						<th scope="col">Status</th>
					</tr>
				</thead>
				<tbody>
					{letters.map((letter) => {
						const { id, address, offset, type, cause, parkedAt, status, attempts } = letter;
						return [
							<tr key={id}>
								<td>
									<input
										type="checkbox"
										aria-label={`Choose ${id}`}
										disabled={status !== "open"}
										checked={chosen.has(id)}
										onChange={(event) => choose([id], event.currentTarget.checked)}
									/>
								</td>
								<th scope="row">
									<a class="mono" href={hrefOf("actor", address, { at: offset })}>
										{address}
									</a>
								</th>
								<td class="what">
									<button
										type="button"
										class="chip look"
										aria-expanded={open === id}
										onClick={() => setOpen(open === id ? undefined : id)}
									>
										{type || "(unreadable)"}
									</button>
								</td>
								<td class="cause">
									{cause} <span class="soft">{plural(attempts, "attempt")}</span>
								</td>
								<td class="when">{time(parkedAt)}</td>
								<td>
									<Badge tone={TONES[status]}>{status}</Badge>
								</td>
							</tr>,
							open === id && (
								<tr key={`${id} in full`} class="detail">
									<td colSpan={6}>
										<LetterView api={api} id={id} />
									</td>
								</tr>
							),
						];
					})}
				</tbody>
			</table>
		</div>
	);
}

interface WorkDialogProps {
	readonly api: Api;
	readonly work: Work;
	readonly ids: readonly string[];
	readonly onDone: (words: string) => void;
	readonly onClose: () => void;
}

function WorkDialog({ api, work, ids, onDone, onClose }: WorkDialogProps) {
	const what = plural(ids.length, "dead letter");
	const confirm = async (why: string) => {
		const {
			retried = 0,
			dropped = 0,
			left,
			letters,
		} = await api.post<LettersDone>(`dead-letters/${work}`, {
			ids,
			why,
		});
		const did = work === "retry" ? `${number(retried)} sent again` : `${number(dropped)} dropped`;
		const reason = letters.find(({ result }) => result === "left")?.reason;
		onDone(left > 0 ? `${did}, ${number(left)} left as they are: ${reason}` : `${did}.`);
	};
	return (
		<Confirm
			title={work === "retry" ? `Send ${what} again?` : `Drop ${what}?`}
			action={work === "retry" ? "Retry" : "Drop"}
			danger={work === "drop"}
			onConfirm={confirm}
			onClose={onClose}
		>
			<p>
				{work === "retry"
					? "Each message goes to its actor once more, as a new one. What fails again is parked again."
					: "They are done with and will not be offered again. The messages stay in the log."}
			</p>
		</Confirm>
	);
}
