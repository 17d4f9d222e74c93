/**
 * A planted bug: what a node still writes of a partition that another has taken over is taken for the newest there is.
 * Owns how such snapshots are recognised and put in the place of newer ones.
 */
import type { NewRecord } from "../../persistence/log.ts";
import { SNAPSHOTS_TOPIC } from "../../persistence/shared-snapshots.ts";
import type { SharedSnapshot } from "../../persistence/snapshots.ts";
import type { simulationOf } from "../../testing/simulate.ts";

type Spoilt = ReturnType<typeof simulationOf>;
type MaybeStale = SharedSnapshot & { readonly isStale?: true };

export function acceptStaleOwners({ storage, hosts }: Spoilt): void {
	const { join } = storage;
	storage.join = (log) => {
		join.call(storage, log);
		const { append } = log;
		const marked = (record: NewRecord, partition: number): NewRecord => {
			const { topic, address } = record.headers;
			if (!topic || !address || storage.owner({ topic, partition }) === log) return record;
			const content = JSON.parse(Buffer.from(record.value).toString());
			return { ...record, value: Buffer.from(JSON.stringify({ ...content, isStale: true })) };
		};
		log.append = (id, records) => {
			const written = id.topic === SNAPSHOTS_TOPIC;
			return append.call(log, id, written ? records.map((record) => marked(record, id.partition)) : records);
		};
	};
	for (const { disk } of hosts) {
		const { open } = disk;
		disk.open = (alive) => {
			const store = open.call(disk, alive);
			return {
				...store,
				merge(partition, followedTo, checkpoints, snapshots) {
					store.merge(partition, followedTo, checkpoints, snapshots);
					for (const snapshot of snapshots as readonly MaybeStale[]) {
						const checkpoint = store.checkpoint({ topic: snapshot.topic, partition });
						if (snapshot.isStale && checkpoint) store.save(checkpoint, [snapshot]);
					}
				},
			};
		};
	}
}
