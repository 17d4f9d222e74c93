/**
 * The operator's token in this tab: kept until the tab closes, sent as a header, and never part of an address.
 * Owns where it is kept.
 */
const KEY = "mycelog.operator-token";

export function keptToken(): string | undefined {
	return sessionStorage.getItem(KEY) ?? undefined;
}

export function keepToken(token: string | undefined): void {
	if (token === undefined) sessionStorage.removeItem(KEY);
	else sessionStorage.setItem(KEY, token);
}
