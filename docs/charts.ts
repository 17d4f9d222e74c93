/**
 * The page docs/concepts/statecharts.md, drawn from the machines themselves. Run this file (`npm run charts`) to
 * write it; a test keeps the page equal to the code. What states and events mean in words is chart-notes.ts.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { AnyStateMachine } from "xstate";
import { accountMachine } from "../actors/account.ts";
import { clientMachine } from "../actors/client.ts";
import { directoryMachine } from "../actors/directory.ts";
import { loginMachine } from "../actors/login.ts";
import { userMachine } from "../actors/user-connections.ts";
import { workspaceMachine } from "../actors/workspace.ts";
import { eventMachine, interestMachine } from "../runtime/event-actors.ts";
import {
	ACCOUNT_NOTES,
	type ChartNotes,
	CLIENT_NOTES,
	DIRECTORY_NOTES,
	EVENT_NOTES,
	INTEREST_NOTES,
	LOGIN_NOTES,
	USER_NOTES,
	WORKSPACE_NOTES,
} from "./chart-notes.ts";

export const STATECHARTS_PAGE = fileURLToPath(new URL("./concepts/statecharts.md", import.meta.url));

type StateNode = AnyStateMachine["root"];

interface Branch {
	/** Event, or `after name`. */
	readonly event: string;
	readonly guard: string | undefined;
	/** Undefined: the state stays as it is. */
	readonly target: StateNode | undefined;
}

/** XState's event for a delay: its name, then the state's id. */
const DELAYED = /^xstate\.after\.([^.]+)\..*$/;
const ROOT_ROW = "every state without a rule of its own";

export function statechartsPage(): string {
	return `# Statecharts

Drawn from the machines by \`npm run charts\`; do not edit. A test fails when a machine changes and this
page does not.

The pictures show what moves an actor from one state to another. Branches of one event are tried in order; a guard
stands in square brackets. What an actor handles without leaving its state stands in the table below each picture.
An event without a rule in a state is ignored there.

${chart(clientMachine, CLIENT_NOTES)}
${chart(workspaceMachine, WORKSPACE_NOTES)}
${chart(userMachine, USER_NOTES)}
${chart(directoryMachine, DIRECTORY_NOTES)}
${chart(accountMachine, ACCOUNT_NOTES)}
${chart(loginMachine, LOGIN_NOTES)}
${chart(eventMachine, EVENT_NOTES)}
${chart(interestMachine, INTEREST_NOTES)}`;
}

/** Throws where a note is missing or explains nothing that the machine has. */
export function chart(machine: AnyStateMachine, notes: ChartNotes): string {
	const nodes = descendants(machine.root);
	const branches = [machine.root, ...nodes].flatMap(branchesOf);
	const guards = branches.flatMap(({ guard }) => (guard ? [guard] : []));
	checkNotes(`states of ${machine.id}`, nodes.map(nameOf), notes.states);
	checkNotes(
		`events of ${machine.id}`,
		branches.map(({ event }) => event),
		notes.events,
	);
	checkNotes(`guards of ${machine.id}`, guards, notes.guards);
	return [
		`## ${notes.title}\n`,
		`${notes.introduction}\n`,
		"```mermaid",
		...diagram(machine.root),
		"```\n",
		...table(["State", "Meaning"], rows(notes.states)),
		...table(["Stays in", "and handles"], unmoved(machine.root)),
		...table(["Event", "Meaning"], rows(notes.events)),
		...(guards.length > 0 ? table(["Guard", "Holds if"], rows(notes.guards)) : []),
	].join("\n");
}

function diagram(root: StateNode): string[] {
	return ["stateDiagram-v2", ...inside(root, "\t"), ...arrows(root).map((line) => `\t${line}`)];
}

/** States of a compound one, nested ones in it. */
function inside(node: StateNode, indent: string): string[] {
	const children = Object.values(node.states) as StateNode[];
	const initial = node.initial?.target[0];
	return [
		...(initial ? [`${indent}[*] --> ${initial.key}`] : []),
		...children.flatMap((child) =>
			Object.keys(child.states).length === 0
				? [`${indent}${child.key}`]
				: [`${indent}state ${child.key} {`, ...inside(child, `${indent}\t`), `${indent}}`],
		),
	];
}

/** One arrow for each pair of states, with all that leads from the one to the other. */
function arrows(root: StateNode): string[] {
	const labels = new Map<string, string[]>();
	for (const node of [root, ...descendants(root)]) {
		for (const branch of branchesOf(node)) {
			const { target } = branch;
			if (!target) continue;
			for (const from of sourcesOf(node, target)) {
				const pair = `${from.key} --> ${target.key}`;
				labels.set(pair, [...(labels.get(pair) ?? []), label(branch)]);
			}
		}
	}
	return [...labels].map(([pair, texts]) => `${pair} : ${[...new Set(texts)].join("<br/>")}`);
}

/** A compound state's way to one of its own states is the way of its other states. */
function sourcesOf(node: StateNode, target: StateNode): StateNode[] {
	if (!descendants(node).includes(target)) return node === target ? [] : [node];
	return descendants(node).filter(
		(inner) =>
			inner !== target && Object.keys(inner.states).length === 0 && !descendants(target).includes(inner),
	);
}

function label({ event, guard }: Branch): string {
	return guard ? `${event} [${guard}]` : event;
}

/** Rows: state, and its branches that change no state. */
function unmoved(root: StateNode): string[][] {
	return [root, ...descendants(root)].flatMap((node) => {
		const byEvent = Map.groupBy(branchesOf(node), ({ event }) => event);
		const texts = [...byEvent].flatMap(([event, branches]) => {
			const staying = branches.filter(({ target }) => !target);
			if (staying.length === 0) return [];
			const conditions = staying.map(({ guard }) =>
				guard ? `[${guard}]` : branches.length > 1 ? "otherwise" : "",
			);
			return [`\`${event}\` ${conditions.join(" or ")}`.trim()];
		});
		if (texts.length === 0) return [];
		return [[node === root ? ROOT_ROW : `\`${nameOf(node)}\``, texts.join(", ")]];
	});
}

function branchesOf(node: StateNode): Branch[] {
	return [...node.transitions.values()].flat().map(({ eventType, guard, target }) => ({
		event: eventType.replace(DELAYED, "after $1"),
		guard:
			guard === undefined ? undefined : typeof guard === "string" ? guard : (guard as { type: string }).type,
		target: target?.[0],
	}));
}

function descendants(node: StateNode): StateNode[] {
	return (Object.values(node.states) as StateNode[]).flatMap((child) => [child, ...descendants(child)]);
}

function nameOf(node: StateNode): string {
	return node.path.join(".");
}

function checkNotes(what: string, found: readonly string[], notes: Readonly<Record<string, string>>): void {
	const there = new Set(found);
	const missing = [...there].filter((name) => !Object.hasOwn(notes, name));
	const idle = Object.keys(notes).filter((name) => !there.has(name));
	if (missing.length > 0) throw new Error(`${what} without a note in chart-notes.ts: ${missing.join(", ")}`);
	if (idle.length > 0)
		throw new Error(`notes in chart-notes.ts on ${what} that are not there: ${idle.join(", ")}`);
}

function rows(notes: Readonly<Record<string, string>>): string[][] {
	return Object.entries(notes).map(([name, text]) => [`\`${name}\``, text]);
}

function table(head: readonly string[], body: readonly (readonly string[])[]): string[] {
	const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
	return [line(head), line(head.map(() => "---")), ...body.map(line), ""];
}

if (process.argv[1] === fileURLToPath(import.meta.url)) writeFileSync(STATECHARTS_PAGE, statechartsPage());
