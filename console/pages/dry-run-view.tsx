/** What an edited history would have made: states, their differences, and effects that only one of the two has. */
import type { DryRun } from "../api-types.ts";
import { Json } from "../parts/json.tsx";
import { Badge } from "../parts/states.tsx";
import { number, plural } from "../words.ts";

export function DryRunView({ run }: { readonly run: DryRun }) {
	const { before, after, records, kept, differences, onlyBefore, onlyAfter } = run;
	return (
		<div class="dry-run" role="status">
			<p>
				{plural(records, "message")} as it was, {number(kept)} in this history.{" "}
				<Badge tone={before.state === after.state ? "plain" : "accent"}>{before.state}</Badge> →{" "}
				<Badge tone="accent">{after.state}</Badge>{" "}
				{after.failed !== before.failed && (
					<Badge tone={after.failed > before.failed ? "bad" : "good"}>
						{plural(after.failed, "message")} would fail, {number(before.failed)} did
					</Badge>
				)}
			</p>
			{differences.length === 0 ? (
				<p>The state would be the same.</p>
			) : (
				<div class="table-wrap">
					<table class="dense">
						<thead>
							<tr>
								<th scope="col">Place</th>
								<th scope="col">As it is</th>
								<th scope="col">As it would be</th>
							</tr>
						</thead>
						<tbody>
							{differences.map(({ path, left, right }) => (
								<tr key={path}>
									<th scope="row" class="mono breaks">
										{path}
									</th>
									<td class="left">
										<Json value={left} />
									</td>
									<td class="changed-cell">
										<Json value={right} />
									</td>
								</tr>
							))}
						</tbody>
					</table>
				</div>
			)}
			<Effects title="Sent, and would not have been" {...onlyBefore} />
			<Effects title="Not sent, and would have been" {...onlyAfter} />
		</div>
	);
}

function Effects({ title, told, count }: DryRun["onlyBefore"] & { readonly title: string }) {
	if (count === 0) return null;
	return (
		<details>
			<summary>
				{title}: {plural(count, "effect")}
			</summary>
			<ul class="effects">
				{told.map(({ offset, type, effect }, i) => (
					<li key={`${offset}.${i}`}>
						<Badge>{type}</Badge> <span class="soft">offset {number(offset)}</span>
						<Json value={effect} />
					</li>
				))}
			</ul>
		</details>
	);
}
