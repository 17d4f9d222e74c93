/** One dead letter in full: its message, why it failed, and what became of it. Owns nothing but the view. */
import type { Api } from "../api.ts";
import type { LetterDetail } from "../api-types.ts";
import { useLoad } from "../load.ts";
import { Json } from "../parts/json.tsx";
import { LoadedView } from "../parts/states.tsx";
import { hrefOf } from "../routes.ts";
import { number, time } from "../words.ts";

export function LetterView({ api, id }: { readonly api: Api; readonly id: string }) {
	const letter = useLoad(id, (signal) => api.get<LetterDetail>("dead-letter", { id }, signal));
	return (
		<LoadedView of={letter} what="the dead letter">
			{({ record, stack, address, offset, topic, partition, outcome }) => (
				<div class="letter">
					<dl class="facts">
						<dt>Record</dt>
						<dd>
							{topic}/{partition}, offset {number(offset)}{" "}
							<a href={hrefOf("actor", address, { at: offset })}>in the actor's history</a>
						</dd>
						{record?.from && (
							<>
								<dt>Sender</dt>
								<dd class="mono">{record.from}</dd>
							</>
						)}
						{outcome && (
							<>
								<dt>{outcome.outcome}</dt>
								<dd>
									{time(outcome.at)} by {outcome.by}: {outcome.why}
								</dd>
							</>
						)}
					</dl>
					<h3>Message</h3>
					{record ? (
						<Json
							value={
								record.unreadable ? { unreadable: record.unreadable, headers: record.headers } : record.event
							}
						/>
					) : (
						<p class="soft">The log does not keep it any more.</p>
					)}
					{stack && (
						<details>
							<summary>
								<h3>Stack</h3>
							</summary>
							<pre>{stack}</pre>
						</details>
					)}
				</div>
			)}
		</LoadedView>
	);
}
