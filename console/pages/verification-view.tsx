/** Whether an actor's snapshot is what the log says. Owns the words for each verdict. */
import type { Api } from "../api.ts";
import type { Verification } from "../api-types.ts";
import { useLoad } from "../load.ts";
import { Json } from "../parts/json.tsx";
import { LoadedView } from "../parts/states.tsx";
import { plural } from "../words.ts";

export const WRONG_WORDS = {
	corrupt: "The stored snapshot is damaged: it does not match its checksum.",
	differs: "The stored snapshot is not what the log says.",
	missing: "The log has history, but no snapshot is stored.",
	version: "The snapshot was made by another version of the machine.",
	"no-history":
		"A snapshot is stored, but the log has no history of the actor: they are not of the same data.",
	trimmed: "It differs, but the log does not keep the beginning any more, so this proves nothing.",
} as const;

export function VerificationView({ api, address }: { readonly api: Api; readonly address: string }) {
	const found = useLoad(`verify ${address}`, (signal) =>
		api.get<Verification>("verify", { address }, signal),
	);
	return (
		<LoadedView of={found} what="the comparison">
			{(verdict) =>
				verdict.ok ? (
					<p class="verdict good" role="status">
						{verdict.snapshot === "equal"
							? `The stored snapshot is what the log says, after ${plural(verdict.records, "message")}.`
							: "Nothing is stored yet: the actor is folded from the log."}
					</p>
				) : (
					<div class="failed" role="status">
						<div>
							<strong>{WRONG_WORDS[verdict.reason]}</strong>
							{verdict.path !== undefined && (
								<dl class="facts">
									<dt>First at</dt>
									<dd class="mono">{verdict.path}</dd>
									<dt>Stored</dt>
									<dd>
										<Json value={verdict.stored} />
									</dd>
									<dt>From the log</dt>
									<dd>
										<Json value={verdict.folded} />
									</dd>
								</dl>
							)}
						</div>
					</div>
				)
			}
		</LoadedView>
	);
}
