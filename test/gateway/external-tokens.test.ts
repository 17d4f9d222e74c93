/** Tokens of another issuer, whose keys a real server of the test gives out. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, exportSPKI, generateKeyPair, SignJWT, UnsecuredJWT } from "jose";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { KeysUnavailable, UNKNOWN_KEY_EVERY_MS } from "../../gateway/external-tokens.ts";
import { Tokens } from "../../gateway/tokens.ts";

const ISSUER = "https://issuer.example.org/";
const AUDIENCE = "mycelog";
const SECRET = "a secret for tests";
const NAMESPACE = "https://amun.ai/";

type Pair = Awaited<ReturnType<typeof generateKeyPair>>;

describe("a token of the configured issuer", () => {
	let server: Server;
	let jwksUri: string;
	let first: Pair;
	let second: Pair;
	/** What the issuer publishes now; undefined: it does not answer with keys. */
	let published: Readonly<Record<string, Pair>> | undefined;
	let asked = 0;

	beforeAll(async () => {
		[first, second] = [await generateKeyPair("RS256"), await generateKeyPair("RS256")];
		server = createServer(async (_, response) => {
			asked++;
			if (!published) {
				response.writeHead(500).end();
				return;
			}
			const keys = await Promise.all(
				Object.entries(published).map(async ([kid, { publicKey }]) => ({
					...(await exportJWK(publicKey)),
					kid,
					use: "sig",
				})),
			);
			response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify({ keys }));
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		jwksUri = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
	});
	afterAll(() => server.close());
	afterEach(() => void vi.useRealTimers());

	const tokens = () =>
		new Tokens({
			secret: SECRET,
			rootToken: undefined,
			issuer: { issuer: ISSUER, audience: AUDIENCE, jwksUri },
			now: Date.now,
		});
	const signed = (claims: Record<string, unknown> = {}, { key = first, kid = "first", alg = "RS256" } = {}) =>
		new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: "auth|ada", scope: "openid", ...claims })
			.setProtectedHeader({ alg, kid })
			.setIssuedAt()
			.setExpirationTime(claims["exp"] === undefined ? "1h" : (claims["exp"] as number))
			.sign(key.privateKey);

	test("is good, and says user, e-mail, roles and scope as the server's own tokens do", async () => {
		published = { first };
		const claims = { [`${NAMESPACE}email`]: "ada@example.org", scope: "openid ws:team-a#rw" };
		expect(await tokens().parse(await signed(claims))).toMatchObject({
			id: "auth|ada",
			email: "ada@example.org",
			is_anonymous: false,
			scope: { workspaces: { "team-a": "rw", "ws-user-auth|ada": "a" }, extra_scopes: ["openid"] },
		});
		expect(await tokens().parse(await signed({ scope: undefined }))).toMatchObject({ roles: [] });
		const own = new Tokens({ secret: SECRET, rootToken: undefined, now: Date.now });
		const ownToken = await own.ofUser("own", null, 60);
		expect(await tokens().parse(ownToken)).toMatchObject({ id: "own" });
	});

	test.each<[string, () => Promise<string> | string, RegExp]>([
		["another issuer", () => signed({ iss: "https://other.example.org/" }), /Incorrect claims/],
		["another audience", () => signed({ aud: "other" }), /Incorrect claims/],
		["yesterday", () => signed({ exp: 1_000 }), /expired/],
		["a key that is not published", () => signed({}, { key: second }), /decoding/],
		["an unknown key", () => signed({}, { kid: "other" }), /decoding/],
		["the root user", () => signed({ sub: "root" }), /Incorrect claims/],
		["an anonymous user", () => signed({ sub: "anonymouz-1" }), /Incorrect claims/],
		["nobody", () => signed({ sub: undefined }), /Incorrect claims/],
		[
			"no signature",
			() =>
				new UnsecuredJWT({ scope: "" })
					.setIssuer(ISSUER)
					.setAudience(AUDIENCE)
					.setSubject("ada")
					.setExpirationTime("1h")
					.encode(),
			/decoding/,
		],
		[
			"another algorithm",
			async () => signed({}, { key: await generateKeyPair("PS256"), alg: "PS256" }),
			/decoding/,
		],
	])("of %s is refused", async (_, make, words) => {
		published = { first };
		await expect(tokens().parse(await make())).rejects.toThrow(words);
	});

	test.each(["spki", "jwk"])(
		"whose public key was used as a shared secret (HS256, %s) is refused",
		async (form) => {
			published = { first };
			const text =
				form === "spki"
					? await exportSPKI(first.publicKey)
					: JSON.stringify(await exportJWK(first.publicKey));
			const forged = await new SignJWT({ scope: "ws:*#a", [`${NAMESPACE}roles`]: ["admin"] })
				.setProtectedHeader({ alg: "HS256", kid: "first" })
				.setIssuer(ISSUER)
				.setAudience(AUDIENCE)
				.setSubject("ada")
				.setExpirationTime("1h")
				.sign(new TextEncoder().encode(text));
			await expect(tokens().parse(forged)).rejects.toThrow(/decoding/);
		},
	);

	test("is no good where no issuer is configured", async () => {
		const own = new Tokens({ secret: SECRET, rootToken: undefined, now: Date.now });
		await expect(own.parse(await signed())).rejects.toThrow(/decoding/);
	});

	test("is good with a new key as soon as the keys may be asked for again, which unknown keys do not hasten", async () => {
		vi.useFakeTimers({ toFake: ["Date"] });
		published = { first };
		const both = tokens();
		await both.parse(await signed());
		published = { second };
		const fresh = () => signed({}, { key: second, kid: "second" });
		const before = asked;
		for (let i = 0; i < 5; i++) await expect(both.parse(await fresh())).rejects.toThrow(/decoding/);
		expect(asked).toBe(before);
		vi.setSystemTime(Date.now() + UNKNOWN_KEY_EVERY_MS + 1);
		expect(await both.parse(await fresh())).toMatchObject({ id: "auth|ada" });
		expect(asked).toBe(before + 1);
		await expect(both.parse(await signed())).rejects.toThrow(/decoding/);
	});

	test("is neither good nor bad while the issuer's keys cannot be had", async () => {
		published = undefined;
		await expect(tokens().parse(await signed())).rejects.toThrow(KeysUnavailable);
	});
});
