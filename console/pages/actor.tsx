/**
 * One actor: its statechart, and its history to go back and forth in. Owns which message is looked at; what is shown of
 * it is in parts of its own.
 */
import type { ComponentChildren } from "preact";
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { ActorDetail, Entry, HoldView, LettersPage } from "../api-types.ts";
import { Statechart } from "../chart/statechart.tsx";
import { useHistory } from "../history-window.ts";
import { useLoad } from "../load.ts";
import { Badge, Empty, Failed, LoadedView, Waiting } from "../parts/states.tsx";
import { go, hrefOf } from "../routes.ts";
import { number, plural, stateWords, time } from "../words.ts";
import { ActorActions } from "./actor-actions.tsx";
import { EntryView } from "./entry-view.tsx";
import { ForkPanel } from "./fork-panel.tsx";
import { HistoryList } from "./history-list.tsx";
import type { PageProps } from "./pages.tsx";
import { Timeline } from "./timeline.tsx";
import { VerificationView } from "./verification-view.tsx";

const EVERY_MS = 3_000;
/** Dead letters of the actor that are looked for failing messages. */
const LETTERS_MAX = 50;

export function ActorPage({ api, route }: PageProps) {
	const address = route.rest;
	const detail = useLoad(address, (signal) => api.get<ActorDetail>("actor", { address }, signal), EVERY_MS);
	const { value, reload } = detail;
	const [done, setDone] = useState("");
	const [isVerified, setVerified] = useState(0);
	const [isForked, setForked] = useState(false);
	const afterwards = (words = "") => {
		setDone(words);
		setVerified(0);
		reload();
	};
	return (
		<>
			<p class="crumbs">
				<a href={hrefOf("actors")}>Actors</a>
			</p>
			<h1 class="mono address">{address}</h1>
			<LoadedView of={detail} what="the actor">
				{(actor) => (
					<>
						<div class="row actor-head">
							<Badge tone="accent">{stateWords(actor.state)}</Badge>
							{actor.hold && <Badge tone="warn">paused</Badge>}
							<span class="soft">
								{actor.partition}, last changed at offset {number(actor.offset)}
							</span>
							<ActorActions
								api={api}
								actor={actor}
								onDone={afterwards}
								onVerify={() => setVerified(isVerified + 1)}
								onFork={() => setForked(true)}
							/>
						</div>
						<p role="status" class="verdict good">
							{done}
						</p>
						{isVerified > 0 && <VerificationView key={isVerified} api={api} address={address} />}
						{actor.hold && <HoldNote {...actor.hold} />}
					</>
				)}
			</LoadedView>
			{value && (
				<Replay api={api} route={route} actor={value}>
					{(entry) =>
						isForked && (
							<ForkPanel
								api={api}
								address={address}
								entry={entry}
								onDone={afterwards}
								onClose={() => setForked(false)}
							/>
						)
					}
				</Replay>
			)}
		</>
	);
}

function HoldNote({ since, cause, failed, held, messages }: HoldView) {
	return (
		<div class="failed" role="note">
			<p>
				<strong>
					It waits since {time(since)}
					{failed ? " because a message failed" : ""}.
				</strong>{" "}
				{cause}
				{held > 0 && `. It keeps ${plural(held, "message")}, the first from offset ${messages[0]?.offset}.`}
			</p>
		</div>
	);
}

interface ReplayProps extends PageProps {
	readonly actor: ActorDetail;
	/** What stands between the message and the list. */
	readonly children: (entry: Entry | undefined) => ComponentChildren;
}

function Replay({ api, route, actor, children }: ReplayProps) {
	const { address, chart } = actor;
	const everything = route.query["all"] === "true";
	const window = useHistory(api, address, everything);
	const { entries, seek, newest, newer, hasNewer } = window;
	const asked = route.query["at"];
	const [at, setAt] = useState<number | undefined>(asked === undefined ? undefined : Number(asked));
	const index = entries.findLastIndex((entry) => at === undefined || entry.offset <= at);
	const entry = entries[Math.max(index, 0)];
	const before = entries[index - 1];
	const isNewest = entry !== undefined && entry === entries.at(-1) && !hasNewer;

	useEffect(() => {
		if (at === undefined) newest();
		else seek(at);
	}, [seek]);
	// Who looks at the newest message goes on to the next ones as they come.
	const known = useRef(actor.offset);
	useEffect(() => {
		if (actor.offset > known.current && at === undefined) newer();
		known.current = actor.offset;
	}, [actor.offset, at, newer]);

	const show = useCallback(
		(next: Entry | undefined, isLast = false) => {
			const offset = isLast ? undefined : next?.offset;
			setAt(offset);
			go(hrefOf("actor", address, { at: offset, all: everything || undefined }), true);
		},
		[address, everything],
	);
	const letters = useLoad(`letters of ${address}`, (signal) =>
		api.get<LettersPage>("dead-letters", { address, limit: LETTERS_MAX }, signal),
	);
	const failures = useMemo(() => {
		const inHistory = entries.filter(({ outcome }) => outcome === "failed").map(({ offset }) => offset);
		const parked = (letters.value?.letters ?? []).map(({ offset }) => offset);
		const held = actor.hold?.failed ? actor.hold.messages.slice(0, 1).map(({ offset }) => offset) : [];
		return [...new Set([...inHistory, ...parked, ...held])].sort((left, right) => right - left);
	}, [entries, letters.value, actor.hold]);
	const jump = async () => {
		// From the newest one to older ones, and around.
		const to = failures.find((offset) => entry === undefined || offset < entry.offset) ?? failures[0];
		if (to !== undefined) show(await seek(to));
	};

	const cause = letters.value?.letters.find(({ offset }) => offset === entry?.offset)?.cause;
	const active = useMemo(
		() => new Set(entry?.active ?? (isNewest || !entry ? chart?.active : [])),
		[entry, isNewest, chart],
	);
	const step = useMemo(() => {
		if (!entry?.active || !before?.active) return undefined;
		return { event: entry.type, before: new Set(before.active) };
	}, [entry, before]);
	return (
		<>
			<div class="replay">
				<section class="card stage" aria-label="Statechart and time">
					{chart ? (
						<Statechart chart={chart} active={active} step={step} />
					) : (
						<Empty>This actor is no state machine: there is no chart of it.</Empty>
					)}
					<Timeline
						window={window}
						entry={entry}
						failures={failures}
						newestOffset={actor.offset}
						onShow={show}
						onJump={jump}
					/>
				</section>
				<section class="card" aria-label="The message and what it did" aria-live="off">
					{entry ? (
						<EntryView {...{ api, actor, entry, before, isNewest, cause }} />
					) : window.error ? (
						<Failed error={window.error} what="the history" again={window.loading} onRetry={newest} />
					) : (
						<Waiting what="the history" />
					)}
				</section>
			</div>
			{children(entry)}
			<HistoryList
				window={window}
				entry={entry}
				failures={failures}
				everything={everything}
				onShow={show}
				onEverything={(all) => go(hrefOf("actor", address, { at, all: all || undefined }), true)}
			/>
		</>
	);
}
