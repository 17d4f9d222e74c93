/**
 * How a Kafka log proves who it is and whom it trusts: TLS and SASL, as texts that were read already. Owns the types
 * and what they mean to a TLS socket; where secrets come from is not known here.
 */

export const SASL_MECHANISMS = ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] as const;
export type SaslMechanism = (typeof SASL_MECHANISMS)[number];

/** Whom to trust, and what to show. */
export interface KafkaTls {
	/** Certificates of authorities, PEM; without: those that Node trusts. */
	readonly ca?: string;
	/** This client's own certificate and key, PEM. */
	readonly cert?: string;
	readonly key?: string;
}

/** Who logs in; the password is never logged. */
export interface KafkaSasl {
	readonly mechanism: SaslMechanism;
	readonly username: string;
	readonly password: string;
}

/** How connections are protected. */
export interface KafkaSecurity {
	/** Without: plain connections. */
	readonly tls?: KafkaTls;
	/** Without: nobody logs in. */
	readonly sasl?: KafkaSasl;
}

/** The broker said no, or it is not the one it should be: trying again is no use. */
const REFUSALS = new Set([
	"SASL_AUTHENTICATION_FAILED",
	"UNSUPPORTED_SASL_MECHANISM",
	"ILLEGAL_SASL_STATE",
	"TOPIC_AUTHORIZATION_FAILED",
	"GROUP_AUTHORIZATION_FAILED",
	"CLUSTER_AUTHORIZATION_FAILED",
	// OpenSSL's and Node's names.
	"SELF_SIGNED_CERT_IN_CHAIN",
	"DEPTH_ZERO_SELF_SIGNED_CERT",
	"UNABLE_TO_VERIFY_LEAF_SIGNATURE",
	"UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
	"CERT_HAS_EXPIRED",
	"CERT_NOT_YET_VALID",
	"ERR_TLS_CERT_ALTNAME_INVALID",
]);

/** What the other side of a TLS connection says when it ends it. */
const TLS_ALERT = /^ERR_SSL_.*ALERT/;

/** However deep a client library wrapped it. */
export function isRefusal(error: unknown): boolean {
	if (typeof error !== "object" || error === null) return false;
	const { type, code, cause, errors } = error as {
		type?: string;
		code?: string;
		cause?: unknown;
		errors?: unknown[];
	};
	if (REFUSALS.has(type ?? "") || REFUSALS.has(code ?? "") || TLS_ALERT.test(code ?? "")) return true;
	return isRefusal(cause) || (errors ?? []).some(isRefusal);
}
