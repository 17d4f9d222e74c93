/**
 * The actors in a file of the user's: what `defineActor` gave and the file exports. Owns finding them and the errors of
 * files that have none.
 */
import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { MycelogError } from "../persistence/errors.ts";
import { type Behaviours, behavioursByType } from "../runtime/behaviour.ts";
import type { ActorDefinition } from "../runtime/define-actor.ts";
import { BEHAVIOURS } from "./behaviours.ts";

/** Exported one by one or in arrays, under any name. Rejects with `config.invalid-value`. */
export async function actorsIn(file: string, option: string): Promise<Behaviours> {
	let exported: Readonly<Record<string, unknown>>;
	try {
		exported = await import(pathToFileURL(resolve(file)).href);
	} catch (cause) {
		const text = `cannot load ${option} ${file}: ${(cause as Error).message}`;
		throw new MycelogError("config.invalid-value", text, { file }, { cause });
	}
	const definitions = new Set(Object.values(exported).flat().filter(isDefinition));
	if (definitions.size === 0) {
		const text = `${option} ${file} exports no actor: export what defineActor gives back`;
		throw new MycelogError("config.invalid-value", text, { file });
	}
	return behavioursByType([...definitions].map(({ behaviour }) => behaviour));
}

/** The actors of the file beside those that every node has. Rejects with `config.invalid-value`. */
export async function behavioursWith(file: string): Promise<Behaviours> {
	return behavioursByType([...BEHAVIOURS, ...(await actorsIn(file, "--actors")).values()]);
}

/** By its form: the file may have its own copy of the package. */
function isDefinition(value: unknown): value is ActorDefinition {
	if (typeof value !== "object" || value === null) return false;
	const { type, behaviour } = value as Partial<ActorDefinition>;
	return typeof type === "string" && behaviour?.type === type && typeof behaviour.command === "function";
}
