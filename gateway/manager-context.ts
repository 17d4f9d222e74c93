/**
 * What a manager method is and what it may use: the caller, the actors, clients, tokens.
 * Owns these shapes and the one way to ask actors; the wire is manager-service.ts.
 */

import type { User } from "../actors/user.ts";
import { addressOf } from "../runtime/address.ts";
import type { Event } from "../runtime/message.ts";
import type { Tokens } from "./tokens.ts";

/** How long an actor may take to answer a manager method, milliseconds. */
export const ACTOR_ANSWER_MS_MAX = 10_000;

export interface ManagerContext {
	readonly caller: { readonly workspace: string; readonly client: string; readonly user: User };
	readonly node: {
		/** The actor's value. Throws an Error with the actor's words. */
		ask(
			address: string,
			event: Event,
			options: { readonly kind: "command" | "query"; readonly timeoutMs: number },
		): Promise<unknown>;
		/** Ids of the nodes that take part now. */
		names(): readonly string[];
	};
	/** Call a method of a client's object store (`services.built-in.ping`). Throws with the client's words. */
	callClient(
		workspace: string,
		client: string,
		method: string,
		args: readonly unknown[],
		timeoutMs: number,
		/** In whose name; absent: the server's. */
		caller?: ManagerContext["caller"],
	): Promise<unknown>;
	/** Calls a client was given in the last minute. Throws if it is not connected or nobody says. */
	loadOf(workspace: string, client: string, timeoutMs: number): Promise<unknown>;
	readonly tokens: Tokens;
	/** As clients reach the server; links in service records start with it. */
	readonly baseUrl: string;
	readonly managerId: string;
	/** From 0 to below 1. */
	random(): number;
	/** Milliseconds since 1970. */
	now(): number;
	/** Facts for the manager object's `config`. */
	readonly serverInfo: Readonly<Record<string, unknown>>;
}

export type Arguments = Readonly<Record<string, unknown>>;

export interface ManagerMethod {
	/** Names on the wire, in order. */
	readonly parameters: readonly string[];
	/** How many of them must be given, from the first. */
	readonly required: number;
	/** One line for users. */
	readonly doc: string;
	/** JSON schema of the parameters, where clients need it. */
	readonly schema?: Readonly<Record<string, unknown>>;
	run(args: Arguments, context: ManagerContext): Promise<unknown>;
}

export type ManagerMethods = Readonly<Record<string, ManagerMethod>>;

/** A command to a workspace, with the caller's name on it. */
export function command(context: ManagerContext, workspace: string, event: Event): Promise<unknown> {
	return askWorkspace(context, workspace, event, "command");
}

export function query(context: ManagerContext, workspace: string, event: Event): Promise<unknown> {
	return askWorkspace(context, workspace, event, "query");
}

function askWorkspace(context: ManagerContext, workspace: string, event: Event, kind: "command" | "query") {
	const { caller, node } = context;
	const asked = { ...event, caller };
	return node.ask(addressOf("workspace", workspace), asked, { kind, timeoutMs: ACTOR_ANSWER_MS_MAX });
}

export function text(value: unknown, name: string): string {
	if (typeof value === "string" && value !== "") return value;
	throw new Error(`ValueError: ${name} must be a non-empty string`);
}

/** An absent map is empty. Throws for anything else that is no map. */
export function options(value: unknown, name: string): Readonly<Record<string, unknown>> {
	if (value === undefined || value === null) return {};
	if (typeof value === "object" && !Array.isArray(value)) return value as Record<string, unknown>;
	throw new Error(`ValueError: ${name} must be a map`);
}

/** Seconds, as clients give them, in milliseconds; longer waits are cut to the bound. */
export function milliseconds(
	value: unknown,
	name: string,
	secondsDefault: number,
	secondsMax: number,
): number {
	const seconds = value ?? secondsDefault;
	if (typeof seconds !== "number" || !(seconds > 0)) {
		throw new Error(`ValueError: ${name} must be a number of seconds above 0`);
	}
	return Math.min(seconds, secondsMax) * 1000;
}
