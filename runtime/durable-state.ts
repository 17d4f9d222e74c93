/**
 * The whole state of an actor made with `defineActor`, and its stored form. Owns what a snapshot carries beside the
 * machine: type, version and structural hash, so that no other machine takes it for its own.
 */
import type { AnyMachineSnapshot, AnyStateMachine, StateValue } from "xstate";
import type { Answers } from "./answers.ts";
import { type Calendar, EMPTY_CALENDAR } from "./calendar.ts";
import type { Hold } from "./hold.ts";
import {
	boundedMachine,
	type Child,
	logicOf,
	NO_CHILDREN,
	restoredSnapshot,
	storedSnapshot,
	type Tree,
} from "./machine-children.ts";

export interface DurableState {
	/** Undefined before the first message: deadlines of the first state count from there. */
	readonly tree: Tree | undefined;
	readonly answers: Answers;
	readonly calendar: Calendar;
	/** It takes no messages at present. */
	readonly hold: Hold | undefined;
}

export const UNBORN: DurableState = {
	tree: undefined,
	answers: [],
	calendar: EMPTY_CALENDAR,
	hold: undefined,
};

/** What a snapshot says of itself. */
export interface SnapshotForm {
	readonly type: string;
	/** Of the definition that wrote it. */
	readonly version: number;
	/** Of the machine's structure. */
	readonly hash: string;
}

/** A machine's state in a snapshot, as `migrate` sees and gives it. */
export interface StoredMachine {
	readonly value: unknown;
	readonly context: unknown;
	readonly [field: string]: unknown;
}

/** A snapshot's text, parsed. */
export interface StoredState extends SnapshotForm {
	readonly machine?: StoredMachine;
	readonly children?: readonly (Omit<Child, "snapshot"> & { readonly machine?: StoredMachine })[];
	readonly sessions?: number;
	readonly answers?: Answers;
	readonly calendar?: Calendar;
	readonly hold?: Hold;
}

export function encodeState({ tree, answers, calendar, hold }: DurableState, form: SnapshotForm): string {
	const stored: StoredState = {
		...form,
		...(tree ? storedTree(tree) : undefined),
		...(answers.length > 0 ? { answers } : undefined),
		...(calendar === EMPTY_CALENDAR ? undefined : { calendar }),
		...(hold ? { hold } : undefined),
	};
	return JSON.stringify(stored);
}

export function formOf({ type, version, hash }: StoredState): SnapshotForm {
	return { type, version, hash };
}

/** Of the stored form, parsed: where the machine is; undefined before the first message. */
export function placeOf(plain: unknown): StateValue | undefined {
	return (plain as StoredState).machine?.value as StateValue | undefined;
}

export function decodeState(
	stored: StoredState,
	machine: AnyStateMachine,
	migrate: (machine: StoredMachine) => StoredMachine = (same) => same,
): DurableState {
	const { machine: root, children = [], sessions = 1, answers, calendar, hold } = stored;
	const tree = root && restoredTree(machine, migrate(root), children, sessions);
	return { tree, answers: answers ?? UNBORN.answers, calendar: calendar ?? EMPTY_CALENDAR, hold };
}

function storedTree({
	root,
	children,
	sessions,
}: Tree): Pick<StoredState, "machine" | "children" | "sessions"> {
	const stored = [...children.values()].map((child) => {
		if (child.kind !== "machine") return child;
		const { snapshot, ...rest } = child;
		return { ...rest, machine: storedSnapshot(snapshot) as StoredMachine };
	});
	return {
		machine: storedSnapshot(root) as StoredMachine,
		...(stored.length > 0 ? { children: stored } : undefined),
		sessions,
	};
}

function restoredTree(
	machine: AnyStateMachine,
	root: StoredMachine,
	stored: NonNullable<StoredState["children"]>,
	sessions: number,
): Tree {
	// Most have none, and there may be very many of them.
	if (stored.length === 0)
		return { root: restoredSnapshot(machine, root, []), children: NO_CHILDREN, sessions };
	const all = stored as unknown as readonly Child[];
	const of = (session: string | undefined) =>
		all.filter(
			({ parent, kind }) =>
				kind !== "effect" && (session === undefined ? !bySession.has(parent) : parent === session),
		);
	const bySession = new Map(all.map((child) => [child.session, child]));
	const machineOf = (child: Child): AnyStateMachine => {
		const parent = bySession.get(child.parent);
		const logic = logicOf(parent ? machineOf(parent) : machine, child.src);
		return boundedMachine(logic as AnyStateMachine);
	};
	const children = stored.map((one) => {
		if (one.kind !== "machine") return one as unknown as Child;
		const { machine: inner, ...rest } = one;
		const child = rest as unknown as Child;
		const snapshot = restoredSnapshot(machineOf(child), inner, of(child.session)) as AnyMachineSnapshot;
		return { ...child, kind: "machine", snapshot } as Child;
	});
	return {
		root: restoredSnapshot(machine, root, of(undefined)),
		children: new Map(children.map((child) => [child.session, child])),
		sessions,
	};
}
