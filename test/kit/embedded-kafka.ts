/** Nodes made with `createNode` that share the Kafka log of a test. Owns its topics' prefix, their directories and their end. */
import { randomBytes } from "node:crypto";
import { inject, onTestFinished } from "vitest";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { SqliteSnapshots } from "../../persistence/snapshots-sqlite.ts";
import type { ActorDefinition } from "../../runtime/define-actor.ts";
import { createNode, type EmbeddedNode } from "../../runtime/embedded-node.ts";
import { collectingLogger, temporaryDirectory } from "./runtime-node.ts";

export class SharedLog {
	readonly #prefix = `test-${randomBytes(6).toString("hex")}`;

	/** It stops with the test. */
	async start<const Actors extends readonly ActorDefinition[]>(
		id: string,
		actors: Actors,
	): Promise<EmbeddedNode<Actors>> {
		const directory = temporaryDirectory();
		const brokers = inject("kafkaBrokers").split(",");
		const node = createNode({
			id,
			log: new KafkaLog({ brokers, prefix: this.#prefix, clientId: id }),
			snapshots: new SqliteSnapshots({ directory: directory.path }),
			actors,
			partitions: 4,
			logger: collectingLogger(),
		});
		onTestFinished(async () => {
			await node.stop();
			directory.remove();
		});
		await node.start();
		return node;
	}
}
