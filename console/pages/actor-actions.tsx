/** What an operator does with one actor. Owns the questions before it; the doing and its record are the node's. */
import { useState } from "preact/hooks";
import type { Api } from "../api.ts";
import type { ActorDetail } from "../api-types.ts";
import { Confirm } from "../parts/confirm.tsx";
import { RebuildDialog } from "./rebuild-dialog.tsx";

const ACTIONS = {
	pause: {
		label: "Pause",
		title: "Pause this actor?",
		text: "From the next message on it keeps what comes, in order, and does nothing until it is resumed.",
	},
	resume: {
		label: "Resume",
		title: "Resume this actor?",
		text: "It takes what it has kept, in order, and then goes on as before.",
	},
	retry: {
		label: "Retry",
		title: "Retry the message that failed?",
		text: "It is given to the actor once more. If it fails again, the actor goes on waiting.",
	},
	skip: {
		label: "Skip",
		title: "Skip the message that failed?",
		text: "It is left out for good, and the actor goes on with the next one. This cannot be taken back.",
		danger: true,
	},
} as const;

type Action = keyof typeof ACTIONS;

export interface ActorActionsProps {
	readonly api: Api;
	readonly actor: ActorDetail;
	/** With words for people, where there are any. */
	readonly onDone: (words?: string) => void;
	readonly onVerify: () => void;
	readonly onFork: () => void;
}

export function ActorActions({ api, actor, onDone, onVerify, onFork }: ActorActionsProps) {
	const [asked, setAsked] = useState<Action>();
	const [rebuilding, setRebuilding] = useState(false);
	const { address, hold, pausable } = actor;
	const offered: Action[] = !pausable
		? []
		: hold
			? hold.failed
				? ["retry", "skip"]
				: ["resume"]
			: ["pause"];
	const action = asked && { ...{ danger: false }, ...ACTIONS[asked] };
	return (
		<div class="row actions">
			{offered.map((name) => (
				<button type="button" key={name} onClick={() => setAsked(name)}>
					{ACTIONS[name].label}
				</button>
			))}
			<button type="button" onClick={onVerify}>
				Verify
			</button>
			<button type="button" onClick={() => setRebuilding(true)}>
				Rebuild
			</button>
			<button type="button" onClick={onFork}>
				Edit history
			</button>
			{rebuilding && (
				<RebuildDialog api={api} addresses={[address]} onDone={onDone} onClose={() => setRebuilding(false)} />
			)}
			{action && asked && (
				<Confirm
					title={action.title}
					action={action.label}
					danger={action.danger}
					onConfirm={(why) => api.post(`actor/${asked}`, { address, why }).then(() => onDone())}
					onClose={() => setAsked(undefined)}
				>
					<p>
						<code>{address}</code>
					</p>
					<p>{action.text}</p>
				</Confirm>
			)}
		</div>
	);
}
