/**
 * Accounts as the gateway uses them: made, changed, and asked whether a password is right. Owns what a name may look like
 * and that only hashes reach the actors.
 */
import { type Account, accountAddress } from "../actors/account.ts";
import type { Event } from "../runtime/message.ts";
import { ACTOR_ANSWER_MS_MAX, type ManagerContext } from "./manager-context.ts";
import { hashPassword, isRightPassword } from "./passwords.ts";
import { randomName } from "./tokens.ts";

type Asked = Pick<ManagerContext["node"], "ask">;

const NAME = /^[a-z0-9][a-z0-9._@+-]{0,99}$/;

/** Names differ in more than case. Throws `ValueError: …`. */
export function accountName(value: unknown): string {
	const name = typeof value === "string" ? value.trim().toLowerCase() : "";
	if (NAME.test(name)) return name;
	throw new Error('ValueError: an account name has 1 to 100 letters, digits, ".", "_", "@", "+" or "-"');
}

/** The id of the user it stands for, who is new. */
export async function createAccount(
	node: Asked,
	name: string,
	password: string,
	email: string | null,
): Promise<string> {
	const userId = randomName();
	const account: Account = { userId, email, hash: await hashPassword(password) };
	await command(node, name, { type: "account.create", account });
	return userId;
}

export async function setPassword(node: Asked, name: string, password: string): Promise<void> {
	await command(node, name, { type: "account.setPassword", hash: await hashPassword(password) });
}

export async function removeAccount(node: Asked, name: string): Promise<void> {
	await command(node, name, { type: "account.remove" });
}

/** Undefined: no such account, or not its password. */
export async function accountOf(node: Asked, name: string, password: string): Promise<Account | undefined> {
	const asked = { kind: "query", timeoutMs: ACTOR_ANSWER_MS_MAX } as const;
	const account = (await node.ask(accountAddress(name), { type: "account.get" }, asked)) as Account | null;
	return (await isRightPassword(password, account?.hash)) ? (account ?? undefined) : undefined;
}

function command(node: Asked, name: string, event: Event): Promise<unknown> {
	return node.ask(accountAddress(name), event, { kind: "command", timeoutMs: ACTOR_ANSWER_MS_MAX });
}
