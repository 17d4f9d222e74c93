/**
 * Tokens that somebody else signs: RS256, by an issuer that publishes its keys (JWKS). Owns which of them are believed;
 * what they grant is read like that of the server's own tokens.
 */
import { createRemoteJWKSet, decodeProtectedHeader, errors, type JWTPayload, jwtVerify } from "jose";

/** The one algorithm: a key that is public must never be taken for a shared secret. */
const ALGORITHM = "RS256";
/** An answer of the issuer, milliseconds. */
export const ISSUER_MS_MAX = 5_000;
/** Keys are asked for again after so long, and for a key that is not among them at most this often, milliseconds. */
const KEYS_MS_MAX = 600_000;
export const UNKNOWN_KEY_EVERY_MS = 5_000;

/** Ids of users of the server's own: nobody else may say who they are. */
const OWN_USERS = /^(root$|anonymouz-)/;

export interface Issuer {
	/** Exactly as tokens say it in `iss`. */
	readonly issuer: string;
	/** What `aud` must name. */
	readonly audience: string;
	readonly jwksUri: string;
}

/** The issuer's keys cannot be had: the token may be good. */
export class KeysUnavailable extends Error {
	override readonly name = "KeysUnavailable";
}

export class ExternalTokens {
	readonly #issuer: Issuer;
	readonly #keys: ReturnType<typeof createRemoteJWKSet>;

	constructor(issuer: Issuer) {
		this.#issuer = issuer;
		this.#keys = createRemoteJWKSet(new URL(issuer.jwksUri), {
			timeoutDuration: ISSUER_MS_MAX,
			cacheMaxAge: KEYS_MS_MAX,
			cooldownDuration: UNKNOWN_KEY_EVERY_MS,
		});
	}

	/** Whether a token says that it is of this kind. */
	claims(token: string): boolean {
		try {
			return decodeProtectedHeader(token).alg === ALGORITHM;
		} catch {
			return false;
		}
	}

	/** Throws KeysUnavailable, or jose's error for a token that is no good. */
	async verified(token: string, now: Date): Promise<JWTPayload> {
		const { issuer, audience } = this.#issuer;
		const options = { algorithms: [ALGORITHM], issuer, audience, currentDate: now };
		const required = { requiredClaims: ["exp", "sub"] };
		const { payload } = await jwtVerify(token, this.#keys, { ...options, ...required }).catch((cause) => {
			throw isOfToken(cause) ? cause : new KeysUnavailable("The issuer's keys cannot be had", { cause });
		});
		if (OWN_USERS.test(payload.sub ?? "")) {
			throw new errors.JWTClaimValidationFailed("sub is a user of the server's own", payload, "sub");
		}
		// Issuers leave out an empty scope.
		return { scope: "", ...payload };
	}
}

/** The keys were there, and the token does not fit. */
function isOfToken(error: unknown): boolean {
	const { JWTExpired, JWTClaimValidationFailed, JWTInvalid, JWSInvalid } = errors;
	const { JWSSignatureVerificationFailed, JOSEAlgNotAllowed, JOSENotSupported } = errors;
	const { JWKSNoMatchingKey, JWKSMultipleMatchingKeys } = errors;
	return [
		...[JWTExpired, JWTClaimValidationFailed, JWTInvalid, JWSInvalid, JWSSignatureVerificationFailed],
		...[JOSEAlgNotAllowed, JOSENotSupported, JWKSNoMatchingKey, JWKSMultipleMatchingKeys],
	].some((kind) => error instanceof kind);
}
