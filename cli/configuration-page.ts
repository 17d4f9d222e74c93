/**
 * The page docs/operating/configuration.md, made from the table of options. Run this file to write it; a test
 * keeps the page equal to the table.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
	fallbackTextOf,
	flagOf,
	OPERATOR_TOKEN_VARIABLE,
	OPTION_KEYS,
	OPTIONS,
	SECRETS,
	variableOf,
} from "./options.ts";

export const CONFIGURATION_PAGE = fileURLToPath(
	new URL("../docs/operating/configuration.md", import.meta.url),
);

export function configurationPage(): string {
	const rows = OPTION_KEYS.map((key) => {
		const { unit, description } = OPTIONS[key];
		return `| \`--${flagOf(key)}\` | \`${variableOf(key)}\` | ${unit} | ${fallbackTextOf(key)} | ${description} |`;
	});
	return `# Configuration

Made from \`cli/options.ts\` by \`node cli/configuration-page.ts\`.

An option can be given as a flag, in the environment, or in a JSON file named by \`--config\` or \`MYCELOG_CONFIG\`.
A flag wins over the environment, the environment over the file, the file over the default. The file holds one
object whose keys are the flags without dashes in front, for example \`{ "port": 9600, "data-dir": "/var/lib/mycelog" }\`.
An empty environment variable counts as not set.

| Flag | Environment | Unit or form | Default | Meaning |
|---|---|---|---|---|
${rows.join("\n")}

## What is refused

A node refuses to start, before it listens, and names the option and where it came from:

- an unknown flag, an unknown key in the file, an unknown \`MYCELOG_*\` variable (\`config.unknown-option\`);
- a value that an option cannot take (\`config.invalid-value\`);
- options that exclude each other (\`config.contradiction\`): \`durability\` with \`kafka-uri\` (the brokers decide
  it), \`prefix\` or a \`kafka-…\` option without \`kafka-uri\` (the embedded log has none), half a login or half a
  certificate, a \`kafka-tls-…\` file without \`kafka-tls\`, more in-sync replicas than replicas, a secret given twice.

\`--log-level debug\` logs every effective value with its origin once at the start. Secrets are never logged.

## Secrets

Arguments are visible to every user of a machine, so secrets come by environment or file only.

| Secret | Environment | File option | Without it |
|---|---|---|---|
| signs tokens | ${variablesText("jwtSecret")} | \`--jwt-secret-file\` | generated once, kept as \`jwt-secret\` (mode 0600) in the data directory |
| logs in at Kafka | ${variablesText("kafkaSaslPassword")} | \`--kafka-sasl-password-file\` | needed with \`--kafka-sasl-username\` |
| may do everything | ${variablesText("rootToken")} | \`--root-token-file\` | there is no root token |
| asks a running node (\`--node\`) | \`${OPERATOR_TOKEN_VARIABLE}\` | \`--token-file\`, of the command alone | the node is not asked |

All nodes of a cluster must have the same token secret: a token issued by one node is shown to another. A node on
Kafka that generated its own secret says so in a warning.

## The data directory

| File | Holds | If it is lost |
|---|---|---|
| \`log.db\` | the embedded log (not with Kafka) | everything is lost: this is the truth, back it up |
| \`snapshots.db\` | checkpoints and snapshots | folded again from the log at the next start |
| \`node-id\` | the node's name | a new name; clients of the old one are told after their resume window |
| \`jwt-secret\` | the generated token secret | tokens issued before are refused |
| \`owner.lock\` | nothing; its file lock keeps a second process out | made again |
`;
}

function variablesText(secret: keyof typeof SECRETS): string {
	return SECRETS[secret].variables.map((name) => `\`${name}\``).join(" or ");
}

if (process.argv[1] === fileURLToPath(import.meta.url))
	writeFileSync(CONFIGURATION_PAGE, configurationPage());
