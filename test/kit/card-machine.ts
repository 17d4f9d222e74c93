/** A user's file with a machine that counts points, of which only the counting differs from file to file. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";

/** `points`: the expression that makes the new count. */
export function cardMachineFile(directory: string, name: string, points: string): string {
	const runtime = new URL("../../runtime/index.ts", import.meta.url).href;
	const file = join(directory, name);
	writeFileSync(
		file,
		`import { assign, setup } from "${import.meta.resolve("xstate")}";
import { defineActor } from "${runtime}";
export const card = defineActor({
	type: "card",
	version: 1,
	machine: setup({
		types: { context: {} as { points: number }, events: {} as { type: "scan"; points: number } },
	}).createMachine({
		context: { points: 0 },
		on: { scan: { actions: assign({ points: ({ context, event }) => ${points} }) } },
	}),
});
`,
	);
	return file;
}
