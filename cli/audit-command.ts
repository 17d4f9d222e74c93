/** `mycelog audit`: what operators did to actors, newest first. Owns how it reads; finding it is runtime/audit.ts. */
import type { Address } from "../runtime/address.ts";
import { type AuditEntry, audit } from "../runtime/audit.ts";
import { readableJson } from "../runtime/readable-json.ts";
import { EXIT } from "./exit-codes.ts";
import { NodeClient, type NodeFlags } from "./node-client.ts";
import type { ActorsFileFlag } from "./operator-commands.ts";
import type { Config } from "./options.ts";
import { print, printJson, table, timeText } from "./print.ts";
import { recovering } from "./recovery-data.ts";

export interface AuditCommandOptions extends NodeFlags, ActorsFileFlag {
	readonly by?: string;
	/** Milliseconds since 1970. */
	readonly since?: number;
	readonly limit: number;
	readonly json?: boolean;
}

export async function auditCommand(
	config: Config,
	address: Address | undefined,
	options: AuditCommandOptions,
): Promise<number> {
	const { by, since, limit, json, actors } = options;
	const node = NodeClient.of(options, process.env);
	const asked = { address, by, since, limit };
	const found = node
		? (await node.get<{ readonly entries: readonly AuditEntry[] }>("audit", asked)).entries
		: await recovering(config, { unit: "partitions", actors }, (parts, onProgress) =>
				audit(parts, { ...asked, onProgress }),
			);
	if (json) await printJson(found);
	else
		await print(
			table(["TIME", "ACTOR", "OFFSET", "WHAT", "OUTCOME", "BY", "WHY", "DETAILS"], found.map(row)),
		);
	return EXIT.ok;
}

function row({ timestamp, address, offset, what, outcome, by, why, details }: AuditEntry): string[] {
	const more = details === undefined ? "" : readableJson(details);
	return [timeText(timestamp), address, String(offset), what, outcome, by ?? "-", why ?? "-", more];
}
