/**
 * Where people log in: the page, and the request it makes with name and password. Owns how often one may be wrong; what a
 * login ends in is login-service.ts. Passwords come here and go no further than to be hashed.
 */
import { MANAGER_ID } from "./gateway.ts";
import { bodyArguments, formatOf } from "./http-arguments.ts";
import { anonymousCaller, type HttpCallerParts } from "./http-caller.ts";
import { type Exchange, HttpError } from "./http-exchange.ts";
import type { HttpRoutes } from "./http-routes.ts";
import { accountName, accountOf, setPassword } from "./login-accounts.ts";
import { LOGIN_PAGE, LOGIN_PAGE_HEADERS } from "./login-page.ts";
import { LOGIN_PATH, loginSeconds } from "./login-service.ts";
import { text } from "./manager-context.ts";
import type { Manager } from "./manager-service.ts";

/** For the actors to keep the result of a login, milliseconds. */
const REPORT_MS_MAX = 10_000;

export interface HttpLoginParts extends HttpCallerParts {
	readonly basePath: string;
	readonly manager: Manager;
}

export function addLoginRoutes(routes: HttpRoutes, parts: HttpLoginParts): void {
	const { basePath, limits } = parts;
	for (const path of ["/login", LOGIN_PATH.replace(/\/$/, "")]) {
		routes.add({
			methods: ["get"],
			path,
			answer(exchange) {
				const query = exchange.query ? `?${exchange.query}` : "";
				exchange.send(307, "text/plain", "", { location: `${basePath}${LOGIN_PATH}${query}` });
			},
		});
	}
	routes.add({
		methods: ["get"],
		path: LOGIN_PATH,
		operation: {
			tag: "login",
			summary: "The page on which a person logs in",
			query: {
				key: "of the program that waits",
				workspace: "the token is for it alone",
				expires_in: "seconds",
			},
			answers: { 200: { means: "the page", types: ["text/html"] } },
			token: false,
		},
		answer(exchange) {
			limits.request(exchange, undefined);
			exchange.send(200, "text/html; charset=utf-8", LOGIN_PAGE, LOGIN_PAGE_HEADERS);
		},
	});
	routes.add({
		methods: ["post"],
		path: LOGIN_PATH,
		operation: {
			tag: "login",
			summary:
				"Log in: {name, password, new_password?, key?, workspace?, expires_in?}. With a key the token goes to the program that waits",
			body: ["application/json", "application/msgpack"],
			answers: {
				200: { means: "the token, or with a key that the program has it", types: ["application/json"] },
				400: { means: "no such key, or the new password is too short" },
				401: { means: "no such account, or not its password" },
				429: { means: "too many wrong passwords of this address, or about this account" },
			},
			token: false,
		},
		answer: async (exchange, _, body) => logIn(exchange, await body, parts),
	});
}

async function logIn(exchange: Exchange, body: Buffer, parts: HttpLoginParts): Promise<void> {
	const { limits, node, tokens } = parts;
	limits.request(exchange, undefined);
	const asked = bodyArguments(body, formatOf(exchange.header("content-type")));
	const name = accountName(asked["name"]);
	const password = text(asked["password"], "password");
	const seconds = loginSeconds(asked["expires_in"]);
	const forgive = limits.attempt(exchange, name);
	const account = await accountOf(node, name, password);
	if (!account) throw new HttpError(401, "Name or password is wrong.");
	forgive();
	const { new_password, key, workspace } = asked;
	if (new_password) await setPassword(node, name, text(new_password, "new_password"));
	const token = await tokens.ofUser(account.userId, account.email, seconds);
	if (key === undefined || key === null) {
		exchange.json(200, { token }, { "cache-control": "no-store" });
		return;
	}
	const report = { key, token, workspace, expires_in: asked["expires_in"] };
	const method = "services.hypha-login.report";
	const provider = `*/${MANAGER_ID}`;
	await parts.manager.callMethod(
		anonymousCaller(tokens),
		{ provider, target: provider, method },
		report,
		REPORT_MS_MAX,
	);
	exchange.json(200, { success: true });
}
