/** The time slider of an actor: from message to message by keys, or anywhere by hand. Owns moving, not what is shown. */
import { useEffect, useRef, useState } from "preact/hooks";
import type { Entry } from "../api-types.ts";
import type { HistoryWindow } from "../history-window.ts";
import { number, time } from "../words.ts";

/** Milliseconds between two states of a replay. */
const PLAY_MS = 700;
/** Milliseconds after the last move by hand before far away entries are asked for. */
const DRAG_MS = 120;
const FAR_ENTRIES = 10;

export interface TimelineProps {
	readonly window: HistoryWindow;
	readonly entry: Entry | undefined;
	/** Offsets of messages that failed, newest first. */
	readonly failures: readonly number[];
	/** Of the actor's newest message, as far as it is known. */
	readonly newestOffset: number;
	readonly onShow: (entry: Entry | undefined, isNewest?: boolean) => void;
	readonly onJump: () => void;
}

export function Timeline({ window, entry, failures, newestOffset, onShow, onJump }: TimelineProps) {
	const { entries, hasOlder, hasNewer, seek, older, newer, oldest, newest } = window;
	const [playing, setPlaying] = useState(false);
	const [dragged, setDragged] = useState<number>();
	const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);
	const start = hasOlder ? window.start : (entries[0]?.offset ?? window.start);
	const top = Math.max(start, newestOffset, entries.at(-1)?.offset ?? 0);
	const index = entry ? entries.indexOf(entry) : -1;
	const isLast = index === entries.length - 1 && !hasNewer;
	const isFirst = index <= 0 && !hasOlder;

	/** Page by page where the end of what is held is reached. */
	const step = async (by: number) => {
		const wanted = index + by;
		if (wanted < 0 && hasOlder) {
			await older();
			onShow(await seek((entry?.offset ?? 0) - 1));
			return;
		}
		if (wanted >= entries.length && hasNewer && entry) {
			await newer();
			onShow(entries[entries.length - 1] === entry ? await next(entry) : entries.at(-1));
			return;
		}
		const to = Math.min(Math.max(wanted, 0), entries.length - 1);
		onShow(entries[to], to === entries.length - 1 && !hasNewer);
	};
	const latest = useRef(window);
	latest.current = window;
	const next = async ({ offset }: Entry) => latest.current.entries.find((one) => one.offset > offset);
	const first = async () => onShow(await oldest());
	const last = async () => onShow(await newest(), true);

	const advance = useRef(step);
	advance.current = step;
	useEffect(() => {
		if (!playing) return;
		if (isLast) {
			setPlaying(false);
			return;
		}
		const ticking = setTimeout(() => advance.current(1), PLAY_MS);
		return () => clearTimeout(ticking);
	}, [playing, isLast, entry]);

	const keys: Readonly<Record<string, () => void>> = {
		ArrowLeft: () => step(-1),
		ArrowDown: () => step(-1),
		ArrowRight: () => step(1),
		ArrowUp: () => step(1),
		PageDown: () => step(-FAR_ENTRIES),
		PageUp: () => step(FAR_ENTRIES),
		Home: first,
		End: last,
	};
	const drag = (offset: number) => {
		setDragged(offset);
		clearTimeout(timer.current);
		timer.current = setTimeout(async () => {
			const found = await seek(offset);
			setDragged(undefined);
			onShow(found, found === latest.current.entries.at(-1) && !latest.current.hasNewer);
		}, DRAG_MS);
	};
	return (
		<div class="timeline">
			<div class="row">
				<fieldset class="buttons" aria-label="Steps">
					<button type="button" onClick={first} disabled={isFirst} aria-label="First message">
						<Icon path="M4 3v10M13 3L6 8l7 5z" />
					</button>
					<button type="button" onClick={() => step(-1)} disabled={isFirst} aria-label="Message before">
						<Icon path="M11 3L4 8l7 5z" />
					</button>
					<button
						type="button"
						class="play"
						aria-pressed={playing}
						onClick={async () => {
							if (!playing && isLast) await first();
							setPlaying(!playing);
						}}
					>
						{playing ? "Stop" : "Play"}
					</button>
					<button type="button" onClick={() => step(1)} disabled={isLast} aria-label="Message after">
						<Icon path="M5 3l7 5-7 5z" />
					</button>
					<button type="button" onClick={last} disabled={isLast} aria-label="Newest message">
						<Icon path="M12 3v10M3 3l7 5-7 5z" />
					</button>
				</fieldset>
				<button type="button" class="jump" onClick={onJump} disabled={failures.length === 0}>
					{failures.length === 0 ? "No failing event" : `Failing event (${failures.length})`}
				</button>
			</div>
			<div class="track">
				<Ticks entries={entries} failures={failures} start={start} top={top} />
				<input
					type="range"
					aria-label="Time"
					aria-valuetext={
						entry
							? `offset ${entry.offset}, ${entry.type}, then ${entry.state ?? "not known yet"}`
							: undefined
					}
					min={start}
					max={top}
					value={dragged ?? entry?.offset ?? top}
					disabled={entries.length === 0}
					onInput={(event) => drag(Number(event.currentTarget.value))}
					onKeyDown={(event) => {
						const act = keys[event.key];
						if (!act) return;
						event.preventDefault();
						act();
					}}
				/>
			</div>
			<p class="soft where">
				<span>offset {number(start)}</span>
				<output>
					{entry ? `${time(entry.timestamp)}, offset ${number(entry.offset)}` : ""}
					{isLast && entry ? " (newest)" : ""}
				</output>
				<span>{number(top)}</span>
			</p>
		</div>
	);
}

function Icon({ path }: { readonly path: string }) {
	return (
		<svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" class="icon">
			<path d={path} />
		</svg>
	);
}

interface TicksProps {
	readonly entries: readonly Entry[];
	readonly failures: readonly number[];
	readonly start: number;
	readonly top: number;
}

/** Where messages of the actor are among the partition's offsets; older and newer ones are not known yet. */
function Ticks({ entries, failures, start, top }: TicksProps) {
	const span = Math.max(top - start, 1);
	const x = (offset: number) => ((offset - start) / span) * 1_000;
	const path = entries.map(({ offset }) => `M${x(offset).toFixed(1)} 0v10`).join("");
	const failed = failures.map((offset) => `M${x(offset).toFixed(1)} 0v10`).join("");
	return (
		<svg class="ticks" viewBox="0 0 1000 10" preserveAspectRatio="none" aria-hidden="true">
			<path d={path} />
			<path class="bad" d={failed} />
		</svg>
	);
}
