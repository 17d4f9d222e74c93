/**
 * What two ways through a history send out, compared message by message. Owns which effects are the same; nothing is sent.
 */
import type { Effect } from "./effect.ts";
import type { Message } from "./message.ts";

/** Effects told of each side; the others are counted. */
export const EFFECTS_TOLD_MAX = 1_000;

/** An effect of one message. */
export interface EffectAt {
	/** Of the message that asks for it. */
	readonly offset: number;
	readonly type: Effect["type"];
	/** In a form for people: messages that are passed on by their type and offset. */
	readonly effect: unknown;
}

interface Side {
	readonly told: EffectAt[];
	count: number;
}

export class EffectDifferences {
	readonly onlyBefore: Side = { told: [], count: 0 };
	readonly onlyAfter: Side = { told: [], count: 0 };

	/** How often counts, the order within one message does not. */
	compare({ offset }: Pick<Message, "offset">, before: readonly Effect[], after: readonly Effect[]): void {
		if (before.length === 0 && after.length === 0) return;
		const left = new Map<string, Effect[]>();
		for (const effect of before) {
			if (effect.type === "drop") continue;
			const key = keyOf(effect);
			const same = left.get(key);
			if (same) same.push(effect);
			else left.set(key, [effect]);
		}
		for (const effect of after) {
			if (effect.type === "drop") continue;
			if (left.get(keyOf(effect))?.pop() === undefined) tell(this.onlyAfter, offset, effect);
		}
		for (const effects of left.values()) for (const effect of effects) tell(this.onlyBefore, offset, effect);
	}
}

function tell(side: Side, offset: number, effect: Effect): void {
	side.count++;
	if (side.told.length < EFFECTS_TOLD_MAX)
		side.told.push({ offset, type: effect.type, effect: readable(effect) });
}

function keyOf(effect: Effect): string {
	return JSON.stringify(readable(effect), (_, value) => (typeof value === "bigint" ? `${value}n` : value));
}

function readable(effect: Effect): unknown {
	if (effect.type === "park") {
		const { message, cause, attempts, paused } = effect;
		return {
			type: "park",
			message: placeOf(message),
			cause: `${cause.name}: ${cause.message}`,
			attempts,
			paused,
		};
	}
	return "message" in effect ? { ...effect, message: placeOf(effect.message) } : effect;
}

function placeOf({ type, offset }: Message): unknown {
	return { type, offset };
}
