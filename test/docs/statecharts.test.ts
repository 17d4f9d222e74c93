import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { setup } from "xstate";
import { clientMachine } from "../../actors/client.ts";
import { CLIENT_NOTES } from "../../docs/chart-notes.ts";
import { chart, STATECHARTS_PAGE, statechartsPage } from "../../docs/charts.ts";

test("docs/concepts/statecharts.md draws the machines as they are (else: npm run charts)", () => {
	expect(readFileSync(STATECHARTS_PAGE, "utf8")).toBe(statechartsPage());
});

describe("a chart", () => {
	const { createMachine } = setup({
		guards: { isRed: () => true },
		delays: { pause: 1_000 },
		types: { events: {} as { type: "go" | "stop" | "reset" | "look" } },
	});
	const machine = createMachine({
		id: "light",
		initial: "off",
		on: { look: { actions: () => {} } },
		states: {
			off: { on: { go: [{ guard: "isRed", target: "on.bright" }, { actions: () => {} }] } },
			on: {
				initial: "dim",
				on: { reset: ".dim", stop: "off" },
				states: { dim: { after: { pause: "bright" } }, bright: {} },
			},
		},
	});
	const notes = {
		title: "A light",
		introduction: "It shines.",
		states: { off: "dark", on: "not dark", "on.dim": "a little", "on.bright": "a lot" },
		events: { go: "", stop: "", reset: "", look: "", "after pause": "" },
		guards: { isRed: "red" },
	};

	test("shows nested states, initial ones, guards and delays", () => {
		const drawn = chart(machine, notes);
		for (const line of [
			"[*] --> off",
			"state on {",
			"[*] --> dim",
			"off --> bright : go [isRed]",
			"dim --> bright : after pause",
			"on --> off : stop",
		]) {
			expect(drawn).toContain(`\t${line}\n`);
		}
	});

	test("draws a compound state's way to one of its own states from its other states", () => {
		const drawn = chart(machine, notes);
		expect(drawn).toContain("bright --> dim : reset");
		expect(drawn).not.toContain("on --> dim");
	});

	test("lists what is handled without leaving a state in a table instead of drawing loops", () => {
		const drawn = chart(machine, notes);
		expect(drawn).toContain("| every state without a rule of its own | `look` |");
		expect(drawn).toContain("| `off` | `go` otherwise |");
	});

	test("is refused where a state has no note, or a note has no state", () => {
		const { online: _, ...states } = CLIENT_NOTES.states;
		expect(() => chart(clientMachine, { ...CLIENT_NOTES, states })).toThrow(/without a note.*online/);
		const more = { ...CLIENT_NOTES, states: { ...CLIENT_NOTES.states, asleep: "not there" } };
		expect(() => chart(clientMachine, more)).toThrow(/not there: asleep/);
	});
});
