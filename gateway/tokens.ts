/**
 * Tokens in Hypha's form: HS256 JWTs whose scope says workspaces, permissions and client (auth.md §1, §3–5).
 * Owns issuing and reading; what a permission is enough for is decided in actors/permission.ts. Never logs a token.
 */
import { createHash, createHmac, randomInt, timingSafeEqual } from "node:crypto";
import { errors, jwtVerify, SignJWT } from "jose";
import { type OwnedWorkspace, permissionOf, suffices } from "../actors/permission.ts";
import { homeOf, type Permission, type User } from "../actors/user.ts";
import { ExternalTokens, type Issuer, KeysUnavailable } from "./external-tokens.ts";

/** Upstream's defaults, so that its tokens stay valid with the same secret. */
export const TOKEN_DEFAULTS = {
	issuer: "https://amun.ai/",
	audience: "https://amun-ai.eu.auth0.com/api/v2/",
	namespace: "https://amun.ai/",
} as const;

/** Seconds (auth.md §4). */
export const RECONNECTION_SECONDS = 172_800;
export const TOKEN_SECONDS_DEFAULT = 3_600;
const ANONYMOUS_SECONDS = 600;
/** Shortest root token, characters (auth.md §4). */
export const ROOT_TOKEN_CHARACTERS_MIN = 32;

const PERMISSIONS: Readonly<Record<string, Permission>> = { read: "r", read_write: "rw", admin: "a" };

export interface TokensOptions {
	/** HMAC key of all tokens; shared by all nodes and kept over restarts. */
	readonly secret: string;
	readonly rootToken: string | undefined;
	/** Whose tokens are good beside the server's own. */
	readonly issuer?: Issuer | undefined;
	readonly now: () => number;
}

export interface TokenRequest {
	readonly workspace: OwnedWorkspace;
	/** `read`, `read_write` or `admin`. */
	readonly permission: string;
	readonly expiresInSeconds: number;
	readonly clientId: string | undefined;
	readonly extraScopes: readonly string[];
}

export class Tokens {
	readonly reconnectionSeconds = RECONNECTION_SECONDS;
	readonly #key: Uint8Array;
	readonly #rootDigest: Buffer | undefined;
	readonly #external: ExternalTokens | undefined;
	readonly #now: () => number;

	constructor({ secret, rootToken, issuer, now }: TokensOptions) {
		this.#external = issuer && new ExternalTokens(issuer);
		this.#key = new TextEncoder().encode(secret);
		this.#rootDigest = rootToken === undefined ? undefined : digest(rootToken);
		this.#now = now;
	}

	isRoot(token: string): boolean {
		return this.#rootDigest !== undefined && timingSafeEqual(digest(token), this.#rootDigest);
	}

	/** The user a token stands for. Throws an Error with the words upstream's users know, or KeysUnavailable. */
	async parse(token: string): Promise<User> {
		if (this.isRoot(token)) return rootUser();
		const user = userOf(await this.#verified(token));
		const special = user.scope.extra_scopes.filter((scope) => scope.includes(":"));
		if (special.length > 0) {
			throw new Error(
				`Specialized token with scopes [${special.join(", ")}] cannot be used for general workspace access`,
			);
		}
		return user;
	}

	/** A code for a text of the server's own, which all nodes with the same secret make alike: 43 characters. */
	seal(text: string): string {
		// No token is signed over a text with a line feed in it.
		return createHmac("sha256", this.#key).update(`seal\n${text}`).digest("base64url");
	}

	/** Someone without a token: a fresh id, its own temporary workspace. */
	anonymous(): User {
		const id = `anonymouz-${randomName()}`;
		return newUser(id, {
			roles: ["anonymous"],
			workspaces: { [homeOf({ id })]: "a" },
			expiresAt: Math.floor(this.#now() / 1000) + ANONYMOUS_SECONDS,
		});
	}

	/** Proves to any node that the bearer was this client; carries the user's full scope. */
	reconnectionToken(user: User, workspace: string, client: string): Promise<string> {
		return this.#sign(
			user,
			user.scope.workspaces,
			workspace,
			client,
			user.scope.extra_scopes,
			RECONNECTION_SECONDS,
		);
	}

	/** Of somebody who has shown who they are: for all that the user owns, in no workspace yet. */
	ofUser(id: string, email: string | null, seconds: number): Promise<string> {
		const own = { [homeOf({ id })]: "a" } as const;
		return this.#sign(newUser(id, { email, workspaces: own }), own, undefined, undefined, [], seconds);
	}

	/** A child token. Never grants more than the presented one holds on that workspace. */
	async issue(user: User, request: TokenRequest): Promise<string> {
		const wanted = PERMISSIONS[request.permission];
		if (!wanted) {
			throw new Error(
				`ValueError: permission must be one of read, read_write, admin, not "${request.permission}"`,
			);
		}
		if (!(request.expiresInSeconds > 0))
			throw new Error("ValueError: expires_in must be greater than 0 seconds");
		const held = permissionOf(user, request.workspace);
		if (!held) {
			throw new Error(
				`PermissionError: You do not have any permission for workspace: ${request.workspace.id}`,
			);
		}
		if (!suffices(held, "token.issue")) throw new Error("PermissionError: Only admin can generate token.");
		const child = newUser(randomName(), {
			roles: user.roles.filter((role) => role !== "admin"),
			email: user.email,
			parent: user.parent ?? user.id,
			workspaces: { [request.workspace.id]: wanted },
		});
		const { id } = request.workspace;
		const { clientId, extraScopes, expiresInSeconds } = request;
		return this.#sign(child, child.scope.workspaces, id, clientId, extraScopes, expiresInSeconds);
	}

	#sign(
		user: User,
		workspaces: Readonly<Record<string, Permission>>,
		current: string | undefined,
		client: string | undefined,
		extra: readonly string[],
		seconds: number,
	): Promise<string> {
		const iat = Math.floor(this.#now() / 1000);
		const words = Object.entries(workspaces).map(([workspace, held]) => `ws:${workspace}#${held}`);
		if (client) words.push(`cid:${client}`);
		if (current) words.push(`wid:${current}`);
		words.push(...extra);
		const { namespace } = TOKEN_DEFAULTS;
		return new SignJWT({
			scope: words.join(" "),
			gty: "client-credentials",
			[`${namespace}roles`]: user.roles,
			[`${namespace}email`]: user.email,
			...(user.parent ? { [`${namespace}parent`]: user.parent } : undefined),
		})
			.setProtectedHeader({ alg: "HS256", typ: "JWT" })
			.setIssuer(TOKEN_DEFAULTS.issuer)
			.setSubject(user.id)
			.setAudience(TOKEN_DEFAULTS.audience)
			.setIssuedAt(iat)
			.setExpirationTime(iat + Math.ceil(seconds))
			.sign(this.#key);
	}

	async #verified(token: string): Promise<Readonly<Record<string, unknown>>> {
		try {
			if (this.#external?.claims(token)) {
				return await this.#external.verified(token, new Date(this.#now()));
			}
			const { payload } = await jwtVerify(token, this.#key, {
				algorithms: ["HS256"],
				issuer: TOKEN_DEFAULTS.issuer,
				audience: TOKEN_DEFAULTS.audience,
				currentDate: new Date(this.#now()),
			});
			return payload;
		} catch (error) {
			if (error instanceof KeysUnavailable) throw error;
			if (error instanceof errors.JWTExpired) {
				throw new Error("The token has expired. Please fetch a new one");
			}
			if (error instanceof errors.JWTClaimValidationFailed) throw new Error("Incorrect claims in the token");
			throw new Error("Error decoding token headers.");
		}
	}
}

/** Why a root token is refused at start; undefined: it is fine. */
export function rootTokenProblem(token: string): string | undefined {
	if (token.length < ROOT_TOKEN_CHARACTERS_MIN) {
		return `the root token must have at least ${ROOT_TOKEN_CHARACTERS_MIN} characters`;
	}
	const weak = /test|root|admin|password|token|secret|123|abc|hypha|default/i;
	if (token.length < 64 && weak.test(token)) return "the root token holds a guessable word; use a random one";
	return undefined;
}

export function rootUser(): User {
	return newUser("root", { roles: ["admin"], workspaces: { "*": "a" }, current: "ws-user-root" });
}

interface UserFields {
	readonly roles?: readonly string[];
	readonly email?: string | null;
	readonly parent?: string | null;
	readonly workspaces: Readonly<Record<string, Permission>>;
	readonly current?: string | null;
	readonly client?: string | null;
	readonly extra?: readonly string[];
	readonly expiresAt?: number | null;
}

function newUser(id: string, fields: UserFields): User {
	const roles = fields.roles ?? [];
	return {
		id,
		roles,
		is_anonymous: roles.includes("anonymous"),
		scope: {
			current_workspace: fields.current ?? null,
			workspaces: fields.workspaces,
			client_id: fields.client ?? null,
			extra_scopes: fields.extra ?? [],
		},
		email: fields.email ?? null,
		parent: fields.parent ?? null,
		expires_at: fields.expiresAt ?? null,
		current_workspace: fields.current ?? null,
	};
}

function userOf(claims: Readonly<Record<string, unknown>>): User {
	const { sub, scope, exp } = claims;
	if (typeof sub !== "string" || typeof scope !== "string") throw new Error("Incorrect claims in the token");
	const { namespace } = TOKEN_DEFAULTS;
	const claimed = claims[`${namespace}roles`];
	const text = (value: unknown) => (typeof value === "string" ? value : null);
	const parent = text(claims[`${namespace}parent`]);
	// Upstream hands an admin's role, and `*`, on to every token it makes for others; such a token holds what it names.
	const roles = (Array.isArray(claimed) ? claimed.filter((role) => typeof role === "string") : []).filter(
		(role) => role !== "admin" || parent === null,
	);
	const workspaces: Record<string, Permission> = {};
	const extra: string[] = [];
	let current: string | null = null;
	let client: string | null = null;
	for (const word of scope.split(" ").filter(Boolean)) {
		const grant = /^ws:(.+)#(r|rw|a)$/.exec(word);
		if (grant?.[1] === "*" && parent !== null) continue;
		if (grant) workspaces[grant[1] as string] = grant[2] as Permission;
		else if (word.startsWith("wid:")) current = word.slice(4);
		else if (word.startsWith("cid:")) client = word.slice(4);
		else extra.push(word);
	}
	workspaces[homeOf({ id: sub })] = "a";
	if (roles.includes("admin")) workspaces["*"] = "a";
	return newUser(sub, {
		roles,
		email: text(claims[`${namespace}email`]),
		parent,
		workspaces,
		current,
		client,
		extra,
		expiresAt: typeof exp === "number" ? exp : null,
	});
}

function digest(text: string): Buffer {
	return createHash("sha256").update(text).digest();
}

/** As readable as upstream's `<words>-<8 digits>`, with enough chance in it to be unique. */
export function randomName(): string {
	const letters = "abcdefghijkmnpqrstuvwxyz23456789";
	const word = Array.from({ length: 12 }, () => letters[randomInt(letters.length)]).join("");
	return `${word}-${String(randomInt(100_000_000)).padStart(8, "0")}`;
}
