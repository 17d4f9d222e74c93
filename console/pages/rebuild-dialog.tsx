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
	const confirm = async (why: string) =>
		onDone(wordsOf(await api.post<Rebuilt>("rebuild", { addresses, why })));
	return (
		<Confirm
			title={`Rebuild ${plural(addresses.length, "actor")}?`}
			action="Rebuild"
			onConfirm={confirm}
			onClose={onClose}
		>
			<p>
				Each is folded anew from its first message, with the machine that runs now, and takes the place of
				what is in memory and stored. Effects are not carried out again.
			</p>
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
