/**
 * From the first text frame to an admitted client: token, workspace, client id, admission by the actors.
 * Owns the order of checks and upstream's error texts (connection.md §2–3); permissions are decided in actors/.
 */
import { createHash } from "node:crypto";
import { clientIdProblem } from "../actors/service-id.ts";
import type { Permission, User } from "../actors/user.ts";
import { MycelogError } from "../persistence/errors.ts";
import { partitionName } from "../persistence/log.ts";
import { RefusedError } from "../runtime/node.ts";
import { NOTHING_SEEN } from "../runtime/watermarks.ts";
import { TOO_OFTEN } from "./caller-limits.ts";
import { KeysUnavailable } from "./external-tokens.ts";
import { type GatewayParts, MANAGER_ID } from "./gateway.ts";
import { Identity } from "./identity.ts";
import { chooseWorkspace } from "./workspace-choice.ts";

/** What is said to a client whose first frame is no hello. */
export const UNDECODABLE = "Failed to decode authentication information";

/** Outcome of a handshake with a token that is no good. */
export const UNAUTHENTICATED = "unauthenticated";

/** How long the actors may take to admit a client, and how long it may wait for its turn before, milliseconds. */
export const ADMISSION_MS_MAX = 15_000;

/** Why a client was not let in; `message` is what its user reads. */
export class HandshakeError extends Error {
	override readonly name = "HandshakeError";
	readonly closeCode: number;
	/** Fixed word for metrics. */
	readonly outcome: string;
	/** The same client may succeed later: an `error` text would make it give up for good (connection.md §8). */
	readonly temporary: boolean;

	constructor(message: string, closeCode: number, outcome: string, temporary = false) {
		super(message);
		this.closeCode = closeCode;
		this.outcome = outcome;
		this.temporary = temporary;
	}
}

/** Instead of what was wrong with the token. */
export function tooOften(): HandshakeError {
	return new HandshakeError(TOO_OFTEN, 1008, "too-often");
}

export function serverBusy(): HandshakeError {
	return new HandshakeError("Server busy, please retry", 1013, "busy", true);
}

export interface Admitted {
	/** The `connection_info` text frame. */
	readonly info: Readonly<Record<string, unknown>>;
	/** Mailbox offset to deliver from, and the one from which messages come live. */
	readonly from: number;
	readonly upTo: number;
	/** What the session before this one had seen at `from`: a note for Session. */
	readonly seen: string;
}

/** The client actor's answer to a connect. */
interface GrantedClaim {
	readonly from: number;
	readonly upTo: number;
	/** It takes over the session before, from `from` on. */
	readonly recovered: boolean;
	readonly seen: string | null;
	readonly admission?: { readonly permission: Permission };
}

interface Hello {
	readonly clientId: string;
	readonly workspace: string | undefined;
	readonly token: string | undefined;
	readonly reconnectionToken: string | undefined;
	/** Newest offset the client itself says it has (not sent by the published clients). */
	readonly cursor: number | undefined;
}

/** `known` is called with the identity before the actors are asked, so that nothing delivered meanwhile is missed. */
export async function shakeHands(
	text: string,
	connection: string,
	parts: GatewayParts,
	known: (identity: Identity) => void,
): Promise<Admitted> {
	const hello = parseHello(text);
	const presented = await authenticate(hello, parts);
	const workspace = joinable(() => chooseWorkspace(presented, hello.workspace));
	const problem = clientIdProblem(hello.clientId);
	if (problem) throw establishError(problem);
	const bound = presented.scope.client_id;
	if (bound && bound !== hello.clientId) {
		throw establishError(`Client id does not match the token: ${hello.clientId}`);
	}
	const user: User = {
		...presented,
		scope: { ...presented.scope, current_workspace: workspace.id, client_id: hello.clientId },
	};
	const identity = new Identity(workspace.id, hello.clientId, user);
	known(identity);
	const claim = await admit(identity, hello, connection, workspace.ensure, parts);
	if (claim.admission) identity.permission = claim.admission.permission;
	const { upTo, recovered, seen } = claim;
	const from = recovered ? await firstKept(claim.from, identity, parts) : claim.from;
	const info = await connectionInfo(identity, recovered && from === claim.from, parts);
	return { info, from, upTo, seen: seen ?? NOTHING_SEEN };
}

/** Where delivery can go on: a client that stayed away longer than the log keeps messages must not wait for them. */
async function firstKept(from: number, { address }: Identity, parts: GatewayParts): Promise<number> {
	const { node, metrics, logger } = parts;
	const mailbox = node.mailbox(address);
	const { start } = await node.log.bounds(mailbox);
	if (from >= start) return from;
	metrics.holes.inc();
	const partition = partitionName(mailbox);
	logger.warn({ address, partition, from, start }, "messages for a resumed session are no longer kept");
	return start;
}

async function admit(
	identity: Identity,
	hello: Hello,
	connection: string,
	ensure: unknown,
	{ node, options }: GatewayParts,
): Promise<GrantedClaim> {
	const token = hello.reconnectionToken ?? hello.token;
	try {
		const claim = await node.ask(
			identity.address,
			{
				type: "client.connect",
				node: node.name.text,
				connection,
				user: identity.user,
				resume: hello.reconnectionToken !== undefined,
				...(hello.cursor === undefined ? undefined : { cursor: hello.cursor }),
				...(token ? { tokenHash: hashOf(token) } : undefined),
				...(ensure ? { ensure } : undefined),
				limits: options.limits,
				resumeWindowMs: options.resumeWindowMs,
			},
			{ kind: "command", timeoutMs: ADMISSION_MS_MAX },
		);
		return claim as GrantedClaim;
	} catch (error) {
		if (error instanceof RefusedError) throw establishError(error.message);
		// A node that is about to stop has closed its log; the next one lets the client in.
		if (MycelogError.is(error) && (error.retryable || error.code === "log.closed")) {
			throw serverBusy();
		}
		throw error;
	}
}

async function connectionInfo(identity: Identity, recovered: boolean, { tokens, options }: GatewayParts) {
	const url = options.publicUrl ?? `http://${options.host}:${options.port}${options.basePath}`;
	return {
		type: "connection_info",
		hypha_version: options.version,
		public_base_url: url,
		local_base_url: url,
		manager_id: MANAGER_ID,
		workspace: identity.workspace,
		client_id: identity.client,
		user: identity.user,
		reconnection_token: await tokens.reconnectionToken(identity.user, identity.workspace, identity.client),
		reconnection_token_life_time: tokens.reconnectionSeconds,
		// False: a new session, or one with a hole. Unmodified clients do not look at it.
		recovered,
	};
}

async function authenticate(hello: Hello, { tokens }: GatewayParts): Promise<User> {
	try {
		if (hello.reconnectionToken) return await tokens.parse(hello.reconnectionToken);
		if (hello.token) return await tokens.parse(hello.token);
		return tokens.anonymous();
	} catch (error) {
		if (error instanceof KeysUnavailable) throw serverBusy();
		throw new HandshakeError(`Authentication error: ${(error as Error).message}`, 1008, UNAUTHENTICATED);
	}
}

function parseHello(text: string): Hello {
	let hello: unknown;
	try {
		hello = JSON.parse(text);
	} catch {
		throw new HandshakeError(UNDECODABLE, 1003, "malformed");
	}
	if (typeof hello !== "object" || hello === null || Array.isArray(hello)) {
		throw new HandshakeError(UNDECODABLE, 1003, "malformed");
	}
	const fields = hello as Record<string, unknown>;
	const string = (name: string): string | undefined => {
		const value = fields[name];
		if (value === undefined || value === null || value === "") return undefined;
		if (typeof value !== "string") throw establishError(`${name} must be a string`);
		return value;
	};
	const { offset } = fields;
	return {
		clientId: string("client_id") ?? "",
		workspace: string("workspace"),
		token: string("token"),
		reconnectionToken: string("reconnection_token"),
		cursor: typeof offset === "number" && Number.isSafeInteger(offset) ? offset : undefined,
	};
}

function joinable<T>(choose: () => T): T {
	try {
		return choose();
	} catch (error) {
		throw establishError((error as Error).message);
	}
}

function establishError(detail: string): HandshakeError {
	return new HandshakeError(`Failed to establish connection: ${detail}`, 1001, "refused");
}

/** What a token or cookie is known by: the log never holds one. */
export function hashOf(token: string): string {
	return createHash("sha256").update(token).digest("base64url");
}
