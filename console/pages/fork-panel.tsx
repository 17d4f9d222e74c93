/**
 * An actor's history told another way: edits, a dry run that compares, and making it true. Owns the edits that are being
 * made; folding and comparing are the node's.
 */
import { useState } from "preact/hooks";
import type { Api } from "../api.ts";
import type { DryRun, Edit, Entry } from "../api-types.ts";
import { Confirm } from "../parts/confirm.tsx";
import { Failed } from "../parts/states.tsx";
import { number } from "../words.ts";
import { DryRunView } from "./dry-run-view.tsx";

export interface ForkPanelProps {
	readonly api: Api;
	readonly address: string;
	/** The message that is looked at: where edits are made. */
	readonly entry: Entry | undefined;
	readonly onDone: (words: string) => void;
	readonly onClose: () => void;
}

type Kind = "drop" | "replace" | "insert";

const KINDS: Readonly<Record<Kind, string>> = {
	drop: "Leave it out",
	replace: "Replace it",
	insert: "Insert behind it",
};

export function ForkPanel({ api, address, entry, onDone, onClose }: ForkPanelProps) {
	const [edits, setEdits] = useState<readonly Edit[]>([]);
	const [to, setTo] = useState<number>();
	const [writing, setWriting] = useState<{ kind: Kind; offset: number; text: string }>();
	const [problem, setProblem] = useState("");
	const [run, setRun] = useState<DryRun>();
	const [error, setError] = useState<Error>();
	const [busy, setBusy] = useState(false);
	const [asking, setAsking] = useState(false);
	const fork = { address, edits, ...(to === undefined ? undefined : { to }) };
	const change = (next: readonly Edit[], keepTo = to) => {
		setEdits(next);
		setTo(keepTo);
		// It told of other edits.
		setRun(undefined);
	};
	const begin = (kind: Kind) => {
		if (!entry) return;
		const { offset, event } = entry;
		if (kind === "drop") change([...edits, { drop: offset }]);
		else setWriting({ kind, offset, text: JSON.stringify(event, undefined, 2) });
	};
	const write = (event: Event) => {
		event.preventDefault();
		if (!writing) return;
		const { kind, offset, text } = writing;
		try {
			const written = JSON.parse(text);
			if (typeof written?.type !== "string") throw new TypeError('an event is an object with a "type"');
			change([
				...edits,
				(kind === "insert"
					? { insert: offset, event: written }
					: { replace: offset, event: written }) as Edit,
			]);
			setWriting(undefined);
			setProblem("");
		} catch (reason) {
			setProblem((reason as Error).message);
		}
	};
	const dryRun = async () => {
		setBusy(true);
		setError(undefined);
		try {
			setRun(await api.post<DryRun>("fork/dry-run", fork));
		} catch (reason) {
			setError(reason as Error);
		}
		setBusy(false);
	};
	const promote = async (why: string) => {
		await api.post("fork/promote", { ...fork, base: run?.base, why });
		onDone("The edited history's state is the actor's own from here on.");
		onClose();
	};
	const isEdited = edits.length > 0 || to !== undefined;
	return (
		<section class="card fork" aria-labelledby="fork">
			<div class="row">
				<h2 id="fork">Its history, told another way</h2>
				<button type="button" class="quiet" onClick={onClose}>
					Close
				</button>
			</div>
			<p class="soft">
				Choose a message with the slider or in the list, edit, and see what would have come of it. Nothing
				changes until you promote it.
			</p>
			<fieldset class="row edit-buttons" aria-label="Edits of the chosen message">
				<span>
					Message at offset <strong>{entry ? number(entry.offset) : "–"}</strong>{" "}
					<span class="mono">{entry?.type}</span>
				</span>
				{(Object.keys(KINDS) as Kind[]).map((kind) => (
					<button type="button" key={kind} disabled={!entry} onClick={() => begin(kind)}>
						{KINDS[kind]}
					</button>
				))}
				<button type="button" disabled={!entry} onClick={() => change(edits, entry?.offset)}>
					End the history with it
				</button>
			</fieldset>
			{writing && (
				<form class="event-form" onSubmit={write}>
					<label for="event">
						{writing.kind === "insert" ? "Event behind" : "Event in the place of"} offset{" "}
						{number(writing.offset)}
					</label>
					<textarea
						id="event"
						class="mono"
						rows={6}
						spellcheck={false}
						value={writing.text}
						onInput={(event) => setWriting({ ...writing, text: event.currentTarget.value })}
					/>
					<p class="problem" role="alert">
						{problem}
					</p>
					<div class="row">
						<button type="submit">Take this event</button>
						<button type="button" onClick={() => setWriting(undefined)}>
							Cancel
						</button>
					</div>
				</form>
			)}
			{isEdited && (
				<ol class="edits">
					{to !== undefined && (
						<li>
							Ends with offset {number(to)}{" "}
							<button type="button" class="quiet" onClick={() => change(edits, undefined)}>
								Undo
							</button>
						</li>
					)}
					{edits.map((edit, i) => (
						<li key={JSON.stringify(edit)}>
							{wordsOf(edit)}{" "}
							<button type="button" class="quiet" onClick={() => change(edits.filter((_, j) => j !== i))}>
								Undo
							</button>
						</li>
					))}
				</ol>
			)}
			<div class="row">
				<button type="button" disabled={!isEdited || busy} onClick={dryRun}>
					{busy ? "Folding…" : "Dry run"}
				</button>
				<button type="button" class="danger" disabled={!run} onClick={() => setAsking(true)}>
					Promote…
				</button>
			</div>
			{error && <Failed error={error} what="the dry run" />}
			{run && <DryRunView run={run} />}
			{asking && (
				<Confirm
					title="Make this history true?"
					action="Promote"
					danger
					onConfirm={promote}
					onClose={() => setAsking(false)}
				>
					<p>
						<code>{address}</code> goes on from the state of the dry run. What it has sent is not taken back,
						and nothing is sent again. It is refused if a message has come since.
					</p>
				</Confirm>
			)}
		</section>
	);
}

function wordsOf(edit: Edit) {
	if ("drop" in edit) return `Without offset ${number(edit.drop)}`;
	const event = <code>{JSON.stringify(edit.event)}</code>;
	if ("replace" in edit) {
		return (
			<>
				Offset {number(edit.replace)} is {event}
			</>
		);
	}
	return (
		<>
			Behind offset {number(edit.insert)} comes {event}
		</>
	);
}
