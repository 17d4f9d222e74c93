/** Rebuilds actors from the log, after asking why. Owns the words for what came of it. */
import { useState } from "preact/hooks";
import type { Api } from "../api.ts";
import type { Rebuilt } from "../api-types.ts";
import { Confirm } from "../parts/confirm.tsx";
import { number, plural } from "../words.ts";

export interface RebuildDialogProps {
	readonly api: Api;
	readonly addresses: readonly string[];
	readonly onDone: (words: string) => void;
	readonly onClose: () => void;
}

export function RebuildDialog({ api, addresses, onDone, onClose }: RebuildDialogProps) {
	const [fromSnapshot, setFromSnapshot] = useState(false);
	const confirm = async (why: string) =>
		onDone(wordsOf(await api.post<Rebuilt>("rebuild", { addresses, why, fromSnapshot })));
	return (
		<Confirm
			title={`Rebuild ${plural(addresses.length, "actor")}?`}
			action="Rebuild"
			onConfirm={confirm}
			onClose={onClose}
		>
			<p>
				Each is folded anew from its {fromSnapshot ? "stored snapshot" : "first message"} on, with the machine
				that runs now, and takes the place of what is in memory and stored. Effects are not carried out again.
			</p>
			<label class="check">
				<input
					type="checkbox"
					checked={fromSnapshot}
					onChange={(event) => setFromSnapshot(event.currentTarget.checked)}
				/>
				From the stored snapshot, which then must be right
			</label>
			{addresses.length === 1 && (
				<p>
					<code>{addresses[0]}</code>
				</p>
			)}
		</Confirm>
	);
}

/** For a page with many actors: `ask` opens the dialog; `view` is it, and what came of it, whatever else is shown. */
export function useRebuild(api: Api, addresses: readonly string[], onRebuilt: () => void) {
	const [asking, setAsking] = useState(false);
	const [done, setDone] = useState("");
	const onDone = (words: string) => {
		setDone(words);
		onRebuilt();
	};
	const view = (
		<>
			<p role="status" class="verdict good">
				{done}
			</p>
			{asking && <RebuildDialog {...{ api, addresses, onDone }} onClose={() => setAsking(false)} />}
		</>
	);
	return { view, ask: () => setAsking(true) };
}

function wordsOf({ rebuilt, waiting }: Rebuilt): string {
	const refused = rebuilt.filter((one) => one.refused !== undefined);
	const parts = [`${number(rebuilt.length - refused.length)} rebuilt`];
	if (refused.length > 0) parts.push(`${number(refused.length)} refused (${refused[0]?.refused})`);
	if (waiting > 0) parts.push(`${number(waiting)} still under way`);
	return `${parts.join(", ")}.`;
}
