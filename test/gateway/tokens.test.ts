import { SignJWT } from "jose";
import { expect, test } from "vitest";
import { TOKEN_DEFAULTS, Tokens } from "../../gateway/tokens.ts";

const SECRET = "a secret for tests, of forty characters.";
const tokens = new Tokens({ secret: SECRET, rootToken: undefined, now: Date.now });

/** As the original server signs it. */
function signed(parent: string | undefined): Promise<string> {
	const { issuer, audience, namespace } = TOKEN_DEFAULTS;
	const claims = {
		scope: "ws:lab-images#r ws:*#a wid:lab-images",
		[`${namespace}roles`]: ["admin", "curator"],
	};
	return new SignJWT({ ...claims, ...(parent ? { [`${namespace}parent`]: parent } : undefined) })
		.setProtectedHeader({ alg: "HS256" })
		.setIssuer(issuer)
		.setAudience(audience)
		.setSubject("somebody")
		.setExpirationTime("1h")
		.sign(new TextEncoder().encode(SECRET));
}

test("a token that an admin made for somebody else holds what it names, neither the admin's role nor all workspaces", async () => {
	const { roles, scope } = await tokens.parse(await signed("root"));
	expect(roles).toEqual(["curator"]);
	expect(scope.workspaces).toEqual({ "lab-images": "r", "ws-user-somebody": "a" });
});

test("an admin's own token makes an admin", async () => {
	const { roles, scope } = await tokens.parse(await signed(undefined));
	expect(roles).toEqual(["admin", "curator"]);
	expect(scope.workspaces["*"]).toBe("a");
});
