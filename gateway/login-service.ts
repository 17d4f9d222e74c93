/**
 * `public/hypha-login`: how a program gets the token of a person who logs in on a page (services.md §8). Owns the service's
 * methods and what a login ends in; the page and passwords are http-login.ts.
 */
import { LOGIN_ADDRESS } from "../actors/login.ts";
import { homeOf, type User } from "../actors/user.ts";
import { isAdmin } from "./admin-service.ts";
import { hashOf } from "./handshake.ts";
import { accountName, createAccount, removeAccount, setPassword } from "./login-accounts.ts";
import { disclosed, enclosed, LOGIN_MS_MAX, newLoginKey, readLoginKey } from "./login-keys.ts";
import {
	ACTOR_ANSWER_MS_MAX,
	type Arguments,
	type ManagerContext,
	type ManagerMethods,
	query,
	text,
} from "./manager-context.ts";
import { tokenMethods } from "./manager-tokens.ts";
import type { OwnService } from "./own-services.ts";

/** Where a person logs in, below the base path; upstream's. */
export const LOGIN_PATH = "/public/apps/hypha-login/";

/** Seconds that the token of a login is good, where nobody says, and at most. */
export const LOGIN_SECONDS_DEFAULT = 86_400;
export const LOGIN_SECONDS_MAX = 2_592_000;

/** Between two looks at whether the person has logged in, milliseconds. */
const CHECK_EVERY_MS = 1_000;
/** Programs of one node that wait for a person. */
export const CHECKS_AT_ONCE_MAX = 1_000;
let checks = 0;

/** What a login ends in. */
interface LoginResult {
	readonly token: string;
	readonly user_id: string;
	readonly email: string | null;
}

const methods: ManagerMethods = {
	start: {
		parameters: ["workspace", "expires_in"],
		required: 0,
		doc: "Begin a login: where a person does it, and the key to wait for its end with.",
		run: async (args, context) => start(args, context),
	},
	check: {
		parameters: ["key", "timeout", "profile"],
		required: 1,
		doc: "Wait for a login: the token, or with profile a map with the token and whose it is.",
		run: check,
	},
	report: {
		parameters: [
			...["key", "token", "workspace", "expires_in", "email", "email_verified", "name", "nickname"],
			...["user_id", "picture"],
		],
		required: 2,
		doc: "End a login with a token of the one who logs in.",
		run: async ({ key, token, workspace, expires_in }, context) => {
			await reportLogin(key, text(token, "token"), { workspace, expires_in }, context);
			return null;
		},
	},
	logout: {
		parameters: ["config"],
		required: 0,
		doc: "Where a person logs out.",
		run: async (_, { baseUrl }) => ({ logout_url: `${baseUrl}${LOGIN_PATH}?logout=1` }),
	},
	signup: {
		parameters: ["name", "password", "email"],
		required: 2,
		doc: "Operator only: make an account with which a person can log in. Returns the id of its user.",
		run: async ({ name, password, email }, context) => {
			requireAdmin(context);
			const mail = email === undefined || email === null ? null : text(email, "email");
			return createAccount(context.node, accountName(name), text(password, "password"), mail);
		},
	},
	set_password: {
		parameters: ["name", "password"],
		required: 2,
		doc: "Operator only: give an account another password.",
		run: async ({ name, password }, context) => {
			requireAdmin(context);
			await setPassword(context.node, accountName(name), text(password, "password"));
			return null;
		},
	},
	remove_account: {
		parameters: ["name"],
		required: 1,
		doc: "Operator only: remove an account. Tokens it was given stay good until they expire.",
		run: async ({ name }, context) => {
			requireAdmin(context);
			await removeAccount(context.node, accountName(name));
			return null;
		},
	},
};

export const LOGIN_SERVICE: OwnService = {
	id: "hypha-login",
	workspace: "public",
	name: "Hypha Login",
	description: "Login for programs, by a person on a page.",
	type: "functions",
	visibility: "public",
	methods,
	mayHave: () => true,
};

/** Throws `ValueError: …`. */
export function loginSeconds(value: unknown): number {
	if (value === undefined || value === null || value === "") return LOGIN_SECONDS_DEFAULT;
	const seconds = Number(value);
	if (seconds > 0 && seconds <= LOGIN_SECONDS_MAX) return seconds;
	throw new Error(`ValueError: expires_in must be above 0 and at most ${LOGIN_SECONDS_MAX} seconds`);
}

/**
 * A login has succeeded: the token is for whoever has the key. With a workspace it is one for that workspace alone.
 * Throws where the key or the token is no good, or the user may not have what is asked for.
 */
async function reportLogin(
	key: unknown,
	token: string,
	wanted: { readonly workspace: unknown; readonly expires_in: unknown },
	context: ManagerContext,
): Promise<void> {
	const { tokens, node } = context;
	const { hash, expiresAt } = readLoginKey(key, seal(context), context.now());
	const user = await tokens.parse(token);
	if (user.is_anonymous) throw new Error("PermissionError: An anonymous user cannot log in");
	const home = user.scope.current_workspace ?? homeOf(user);
	if (await query(context, home, { type: "token.revoked", hash: hashOf(token) })) {
		throw new Error("ValueError: Token has been revoked");
	}
	const given = await tokenFor(user, home, token, wanted, context);
	const result: LoginResult = { token: given, user_id: user.id, email: user.email };
	const event = {
		type: "login.report",
		key: hash,
		enclosed: await enclosed(result, seal(context)),
		expiresAt,
	};
	await node.ask(LOGIN_ADDRESS, event, { kind: "command", timeoutMs: ACTOR_ANSWER_MS_MAX });
}

function start({ workspace, expires_in }: Arguments, context: ManagerContext): Record<string, unknown> {
	const key = newLoginKey(seal(context), context.now());
	const query = new URLSearchParams({ key });
	if (workspace !== undefined && workspace !== null) query.set("workspace", text(workspace, "workspace"));
	if (expires_in !== undefined && expires_in !== null)
		query.set("expires_in", String(loginSeconds(expires_in)));
	const service = `${context.baseUrl}/public/services/hypha-login`;
	return {
		login_url: `${context.baseUrl}${LOGIN_PATH}?${query}`,
		key,
		report_url: `${service}/report`,
		check_url: `${service}/check`,
		generate_url: `${context.baseUrl}/public/services/ws/generate_token`,
	};
}

async function check({ key, timeout, profile }: Arguments, context: ManagerContext): Promise<unknown> {
	const { hash } = readLoginKey(key, seal(context), context.now());
	const seconds = timeout === undefined || timeout === null ? LOGIN_MS_MAX / 1_000 : Number(timeout);
	const end = context.now() + Math.min(seconds * 1_000 || 0, LOGIN_MS_MAX);
	if (checks >= CHECKS_AT_ONCE_MAX) throw new Error("RuntimeError: too many programs wait for a login");
	checks++;
	try {
		for (;;) {
			const question = { type: "login.result", key: hash };
			const asked = { kind: "query", timeoutMs: ACTOR_ANSWER_MS_MAX } as const;
			const found = await context.node.ask(LOGIN_ADDRESS, question, asked);
			if (typeof found === "string") {
				const result = (await disclosed(found, seal(context))) as LoginResult;
				// Over HTTP a query has no booleans.
				return profile === true || profile === "true" ? result : result.token;
			}
			if (seconds <= 0) return null;
			if (context.now() + CHECK_EVERY_MS > end) throw new Error("TimeoutError: Login timeout");
			await new Promise((resolve) => setTimeout(resolve, CHECK_EVERY_MS));
		}
	} finally {
		checks--;
	}
}

async function tokenFor(
	user: User,
	home: string,
	token: string,
	{ workspace, expires_in }: { readonly workspace: unknown; readonly expires_in: unknown },
	context: ManagerContext,
): Promise<string> {
	if (workspace === undefined || workspace === null || workspace === "") return token;
	const caller = { workspace: home, client: context.caller.client, user };
	const config = { workspace: text(workspace, "workspace"), expires_in: loginSeconds(expires_in) };
	const generated = tokenMethods["generate_token"]?.run({ config }, { ...context, caller });
	return (await generated) as string;
}

function seal({ tokens }: ManagerContext): (text: string) => string {
	return (words) => tokens.seal(words);
}

function requireAdmin(context: ManagerContext): void {
	if (!isAdmin(context)) throw new Error("PermissionError: Only the operator manages accounts");
}
