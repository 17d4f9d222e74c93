/** An actor's messages, newest first, in the pages that have been asked for. Owns the list; the slider is timeline.tsx. */
import type { Entry } from "../api-types.ts";
import type { HistoryWindow } from "../history-window.ts";
import { moveByArrows } from "../parts/rows.ts";
import { Badge, Empty } from "../parts/states.tsx";
import { number, time } from "../words.ts";
import { OUTCOME_TONES } from "./entry-view.tsx";

export interface HistoryListProps {
	readonly window: HistoryWindow;
	readonly entry: Entry | undefined;
	/** Offsets of messages that failed. */
	readonly failures: readonly number[];
	/** Queries and frames too. */
	readonly everything: boolean;
	readonly onShow: (entry: Entry, isNewest?: boolean) => void;
	readonly onEverything: (everything: boolean) => void;
}

export function HistoryList({ window, entry, failures, everything, onShow, onEverything }: HistoryListProps) {
	const { entries, hasOlder, hasNewer, loading, error, older, newer } = window;
	const shown = [...entries].reverse();
	return (
		<section aria-labelledby="history">
			<div class="row">
				<h2 id="history">History</h2>
				<label class="check">
					<input
						type="checkbox"
						checked={everything}
						onChange={(event) => onEverything(event.currentTarget.checked)}
					/>
					Queries and frames too
				</label>
				<span class="soft" role="status">
					{loading ? (error?.message ?? "Asking…") : `${number(entries.length)} messages here`}
				</span>
			</div>
			{hasNewer && (
				<button type="button" onClick={newer} disabled={loading}>
					Newer messages
				</button>
			)}
			{entries.length === 0 && !loading && <Empty>The log keeps no message of this kind.</Empty>}
			<div
				class="history"
				role="listbox"
				aria-label="Messages, newest first"
				tabIndex={-1}
				onKeyDown={(event) => moveByArrows(event, "[role=option]")}
			>
				{shown.map((one) => (
					<div
						key={one.offset}
						role="option"
						class={`history-row ${failures.includes(one.offset) ? "failing" : ""}`}
						aria-selected={one === entry}
						tabIndex={one === entry ? 0 : -1}
						onFocus={(event) => {
							// By keys alone: a click selects below, and a page that opens takes no focus.
							if (one !== entry && event.currentTarget.matches(":focus-visible")) {
								onShow(one, one === entries.at(-1) && !hasNewer);
							}
						}}
						onClick={() => onShow(one, one === entries.at(-1) && !hasNewer)}
						onKeyDown={(event) => {
							if (event.key === "Enter" || event.key === " ") onShow(one);
						}}
					>
						<span class="right">{number(one.offset)}</span>
						<span class="soft when">{time(one.timestamp)}</span>
						<span class="mono type">{one.type}</span>
						<span class="soft mono from">{one.from ?? "from outside"}</span>
						<span class="ends">
							{one.outcome === "folded" && failures.includes(one.offset) && <Badge tone="bad">failed</Badge>}
							{one.outcome && one.outcome !== "folded" && (
								<Badge tone={OUTCOME_TONES[one.outcome]}>{one.outcome}</Badge>
							)}
							<span>{one.state ?? "…"}</span>
						</span>
					</div>
				))}
			</div>
			{hasOlder && (
				<button type="button" onClick={older} disabled={loading}>
					Older messages
				</button>
			)}
		</section>
	);
}
