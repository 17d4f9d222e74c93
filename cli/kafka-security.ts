/**
 * What the options say about TLS and logins at Kafka, with the named files read. Owns the reading; what is allowed
 * together is config.ts.
 */
import { readFileSync } from "node:fs";
import { MycelogError } from "../persistence/errors.ts";
import type { KafkaSecurity } from "../persistence/kafka-security.ts";
import { type Config, flagOf } from "./options.ts";

type FileKey = "kafkaTlsCaFile" | "kafkaTlsCertFile" | "kafkaTlsKeyFile";

/** Throws `config.invalid-value` where a file cannot be read or the password is missing. */
export function kafkaSecurityOf(config: Config, saslPassword: string | undefined): KafkaSecurity {
	const { kafkaTls, kafkaSaslMechanism: mechanism, kafkaSaslUsername: username } = config;
	const tls = {
		...pem("ca", "kafkaTlsCaFile", config),
		...pem("cert", "kafkaTlsCertFile", config),
		...pem("key", "kafkaTlsKeyFile", config),
	};
	if (mechanism === undefined || username === undefined) return kafkaTls === "on" ? { tls } : {};
	if (saslPassword === undefined) {
		const text = `${flagOf("kafkaSaslUsername")} is given but no password: set MYCELOG_KAFKA_SASL_PASSWORD or --${flagOf("kafkaSaslPasswordFile")}`;
		throw new MycelogError("config.invalid-value", text, { option: flagOf("kafkaSaslPasswordFile") });
	}
	const sasl = { mechanism, username, password: saslPassword };
	return kafkaTls === "on" ? { tls, sasl } : { sasl };
}

function pem<Name extends string>(name: Name, key: FileKey, config: Config): Partial<Record<Name, string>> {
	const path = config[key];
	if (path === undefined) return {};
	try {
		return { [name]: readFileSync(path, "utf8") } as Record<Name, string>;
	} catch (cause) {
		const text = `cannot read ${flagOf(key)} ${path}: ${(cause as Error).message}`;
		throw new MycelogError("config.invalid-value", text, { option: flagOf(key), path }, { cause });
	}
}
