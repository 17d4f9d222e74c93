/**
 * Addresses of callers without a connection: one for each HTTP request, so that a service sees who calls it and answers
 * there. Owns their form; they are sealed, so that every node knows them without having made them, and no client can
 * name one.
 */
import { randomBytes, timingSafeEqual } from "node:crypto";

/** Characters of a seal in the address: enough that none is found by trying. */
const SEAL_CHARACTERS = 22;
const FORM = /^client-([\w-]{11})-([\w-]{22})$/;

/** A code that all nodes make alike for a text, and nobody else can. */
export type Seal = (text: string) => string;

export function newGuest(workspace: string, seal: Seal): string {
	const nonce = randomBytes(8).toString("base64url");
	return `client-${nonce}-${sealOf(workspace, nonce, seal)}`;
}

export function isGuest(workspace: string, client: string, seal: Seal): boolean {
	// Most addresses by far are clients': they cost no more than this.
	if (!client.startsWith("client-")) return false;
	const [, nonce = "", shown = ""] = FORM.exec(client) ?? [];
	if (nonce === "") return false;
	return timingSafeEqual(Buffer.from(shown), Buffer.from(sealOf(workspace, nonce, seal)));
}

function sealOf(workspace: string, nonce: string, seal: Seal): string {
	return seal(`guest ${workspace}/${nonce}`).slice(0, SEAL_CHARACTERS);
}
