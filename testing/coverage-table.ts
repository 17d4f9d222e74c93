/** A machine's coverage as lines for people. Owns the columns; counting is coverage.ts. */
import type { MachineCoverage } from "./coverage-counts.ts";

export function coverageTable(type: string, { states, transitions, missing }: MachineCoverage): string {
	const rows = [
		[type, "taken", "guard said no"],
		...states.map(({ state, steps }) => [state, String(steps), ""]),
		...transitions.map(({ source, event, targets, hasGuard, taken, refused }) => [
			`${source} on ${event}${targets.length > 0 ? ` to ${targets.join(", ")}` : ""}`,
			String(taken),
			hasGuard ? String(refused) : "",
		]),
	];
	const widths = (rows[0] as string[]).map((_, column) =>
		Math.max(...rows.map((row) => (row[column] as string).length)),
	);
	const lines = rows.map((row) =>
		row
			.map((cell, column) =>
				column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number),
			)
			.join("  ")
			.trimEnd(),
	);
	const whole = states.length + transitions.length + transitions.filter(({ hasGuard }) => hasGuard).length;
	const covered = whole - missing.length;
	return [...lines, `${covered} of ${whole} covered`].join("\n");
}
