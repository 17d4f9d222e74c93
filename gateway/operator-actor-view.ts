/**
 * One actor as operators see it: state, timers, what it keeps while it is paused, its statechart with the active states.
 * Owns the form; the actor is the runtime's.
 */
import { type PartitionId, partitionName } from "../persistence/log.ts";
import type { StoredTimer } from "../persistence/snapshots.ts";
import type { Actor } from "../runtime/actor.ts";
import type { Address } from "../runtime/address.ts";
import type { Behaviour } from "../runtime/behaviour.ts";
import { activeStates, chartOf } from "../runtime/chart.ts";
import type { Hold } from "../runtime/hold.ts";
import { mailboxOf } from "../runtime/operator.ts";
import { replay } from "../runtime/replay.ts";
import type { OperatorContext } from "./operator-api.ts";

/** Messages of a paused actor that are named. */
const HELD_NAMED_MAX = 100;

export interface ActorNow {
	readonly behaviour: Behaviour;
	readonly partition: PartitionId;
	readonly offset: number;
	readonly state: string;
	readonly value: unknown;
	readonly timers: readonly StoredTimer[];
	readonly hold: Hold | undefined;
}

/** From the memory of this node where it has the actor, else folded from the log. */
export async function actorNow({ node, reading }: OperatorContext, address: Address): Promise<ActorNow> {
	const { behaviour, partition } = mailboxOf(reading, address);
	const live = await node.actor(address);
	const { offset, state, value, timers } =
		live && live.offset >= 0 ? ofLive(live) : await replay(reading, address);
	const hold = behaviour.hold?.(behaviour.decode(JSON.stringify(value)));
	return { behaviour, partition, offset, state, value, timers, hold };
}

export async function actorView(context: OperatorContext, address: Address): Promise<unknown> {
	const { behaviour, partition, offset, state, value, timers, hold } = await actorNow(context, address);
	return {
		address,
		type: behaviour.type,
		partition: partitionName(partition),
		offset,
		state,
		value,
		timers: timers.map(timerView),
		...(hold ? { hold: holdView(hold) } : undefined),
		pausable: behaviour.hold !== undefined,
		...chartView(behaviour, value),
	};
}

function ofLive({ behaviour, state, offset, timers }: Actor) {
	const value: unknown = JSON.parse(behaviour.encode(state));
	return { offset, state: behaviour.describe(state), value, timers: [...timers] };
}

function chartView(behaviour: Behaviour, value: unknown) {
	const { machine } = behaviour;
	return machine && { chart: { ...chartOf(machine), active: activeIn(behaviour, value) } };
}

/** Ids in the chart of the states that a plain state is in. */
export function activeIn(behaviour: Behaviour, value: unknown): readonly string[] {
	const place = behaviour.place?.(value);
	return behaviour.machine && place !== undefined ? activeStates(behaviour.machine, place) : [];
}

export function timerView({ id, at, event, work }: StoredTimer) {
	return { id, at, event: JSON.parse(event) as unknown, ...(work ? { work } : undefined) };
}

function holdView({ since, cause, failed, held }: Hold) {
	const named = held.slice(0, HELD_NAMED_MAX).map(({ offset, timestamp, headers }) => {
		return { offset, timestamp, type: headers["~t"] ?? "" };
	});
	return { since, cause, failed, held: held.length, messages: named };
}
