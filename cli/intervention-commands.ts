/**
 * `mycelog pause`, `resume`, `skip` and `retry`: commands to one actor, through a running node or as records of the log.
 * Owns how they are sent; what they do is runtime/failures.ts.
 */

import { MycelogError } from "../persistence/errors.ts";
import { mustExist } from "../runtime/actor-exists.ts";
import { partitionOf, typeOf } from "../runtime/address.ts";
import { INTERVENTIONS, type Intervention } from "../runtime/failures.ts";
import { encodeBody } from "../runtime/message.ts";
import { ACTORS_TOPIC } from "../runtime/topics.ts";
import { EXIT } from "./exit-codes.ts";
import { LogWriter, localUser } from "./log-writer.ts";
import { NodeClient, type NodeFlags } from "./node-client.ts";
import { withData } from "./operator-data.ts";
import type { Config } from "./options.ts";
import { print, printJson } from "./print.ts";

export interface InterventionOptions extends NodeFlags {
	readonly json?: boolean;
	readonly why: string;
}

export async function interveneCommand(
	config: Config,
	what: Intervention,
	address: string,
	options: InterventionOptions,
): Promise<number> {
	typeOf(address);
	const { why, json } = options;
	const node = NodeClient.of(options, process.env);
	if (node) {
		const answer = await node.post<{ readonly paused: boolean }>(`actor/${what}`, { address, why });
		if (json) await printJson(answer);
		else await print(`${address}: ${answer.paused ? "paused" : "goes on"}\n`);
		return EXIT.ok;
	}
	const offset = await withData(config, "records", async ({ log, behaviours, partitions }) => {
		const type = typeOf(address);
		if (behaviours.has(type)) {
			throw new MycelogError("operator.refused", `actors of type ${type} cannot be paused`, { address });
		}
		const to = { topic: ACTORS_TOPIC, partition: partitionOf(address, partitions) };
		await mustExist({ log, partitions, behaviours: new Map() }, address, to);
		const event = { type: INTERVENTIONS[what], by: localUser(), why };
		const draft = { to: address, kind: "command", type: event.type, body: encodeBody(event) } as const;
		const writer = new LogWriter(log);
		return writer.send(draft, to).finally(() => writer.close());
	});
	if (json) await printJson({ address, offset });
	else await print(`${address}: ${what} is in the log at offset ${offset}; the actor takes it in turn\n`);
	return EXIT.ok;
}
