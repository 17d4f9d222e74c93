/**
 * A partition that stands still on a record: its node is healthy and does not consume. Owns holding the batch back, and a
 * clock that has gone on since.
 */
import { expect, vi } from "vitest";
import { partitionName } from "../../persistence/log.ts";
import { systemClock } from "../../runtime/clock.ts";
import { STALLED_AFTER_MS } from "../../runtime/progress.ts";
import type { OperatorStage } from "./operator-stage.ts";

export interface StandingStill {
	/** `topic/partition`. */
	readonly partition: string;
	/** Of the record. */
	readonly offset: number;
	/** So that it goes on. */
	readonly letGo: () => void;
}

/** `owner`: of the actor's partition; `tell` appends the record. Mocks are restored by the test. */
export async function standStill(
	owner: OperatorStage,
	address: string,
	tell: () => Promise<number>,
): Promise<StandingStill> {
	const { node } = owner.mycelog;
	const partition = partitionName(node.mailbox(address));
	const { promise: free, resolve: letGo } = Promise.withResolvers<void>();
	const { promise: reached, resolve: reach } = Promise.withResolvers<void>();
	const records = node.records.bind(node);
	// As a disk, a broker or code that does not come back in the middle of a batch.
	vi.spyOn(node, "records").mockImplementation((id, batch) => {
		if (partitionName(id) !== partition) return records(id, batch);
		reach();
		return free.then(() => records(id, batch));
	});
	const offset = await tell();
	await reached;
	expect((await owner.get("overview")).body.health).toMatchObject({ ready: true });
	vi.spyOn(systemClock, "now").mockImplementation(() => Date.now() + STALLED_AFTER_MS);
	return { partition, offset, letGo };
}
