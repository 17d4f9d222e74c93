/**
 * What a test and a ledger process say to each other over the channel between parent and child. Owns the shapes only.
 */
import type { KafkaClient } from "../../persistence/kafka-client-names.ts";
import type { Event } from "../../runtime/message.ts";

/** Argument of the process, as JSON. */
export interface LedgerProcessOptions {
	/** Node id. */
	readonly id: string;
	readonly brokers: string;
	readonly prefix: string;
	/** Of each mailbox topic. */
	readonly partitions: number;
	readonly dataDir: string;
	/** Milliseconds without a sign of life; undefined: the log's default. */
	readonly takeoverAfterMs: number | undefined;
	readonly standbyReplicas: number;
	readonly client: KafkaClient;
	/** See NodeOptions. */
	readonly acceptLostRecords: boolean;
}

/**
 * Where a process dies by its own hand when it comes to an entry, before it does anything else:
 * - `received`: the record is there, nothing is done with it;
 * - `half-handled`: the transition was made, nothing of it has left the actor;
 * - `effect-done`: what it passes on is in the log, no snapshot is written;
 * - `snapshot-shared`: the snapshot that contains it is there for other nodes, and not yet on the own disk;
 * - `snapshot-written`: it is on the own disk, too.
 */
export type DeathPoint = "received" | "half-handled" | "effect-done" | "snapshot-shared" | "snapshot-written";

export type LedgerRequest =
	| { readonly op: "ask"; readonly to: string; readonly event: Event; readonly timeoutMs: number }
	| { readonly op: "query"; readonly to: string; readonly event: Event; readonly timeoutMs: number }
	| { readonly op: "tell"; readonly to: string; readonly event: Event; readonly timeoutMs: number }
	| { readonly op: "die-at"; readonly point: DeathPoint; readonly entry: string }
	| { readonly op: "status" }
	| { readonly op: "stop"; readonly deadlineMs: number };

export interface LedgerStatus {
	/** `id~boot`. */
	readonly name: string;
	readonly ready: boolean;
	/** Owned partitions, `topic/number`. */
	readonly partitions: readonly string[];
	readonly duplicates: number;
	readonly expired: number;
	readonly queries: number;
	readonly outputs: number;
	readonly snapshotsRebuilt: number;
	readonly checkpoints: number;
}

/** Parent to child. */
export interface LedgerCall {
	readonly call: number;
	readonly request: LedgerRequest;
}

/** Child to parent. */
export type LedgerNews =
	| { readonly news: "answer"; readonly call: number; readonly ok: true; readonly value: unknown }
	| { readonly news: "answer"; readonly call: number; readonly ok: false; readonly error: string }
	| { readonly news: "started"; readonly name: string }
	| { readonly news: "failed"; readonly error: string }
	/** Another process has this one's id; it ends by itself. */
	| { readonly news: "succeeded"; readonly error: string }
	/** `at`: milliseconds since 1970. `next`: first offset it folds. */
	| { readonly news: "assigned"; readonly partition: string; readonly at: number; readonly next: number }
	/** `lastAt`: when the last records were handled before, if any were. */
	| {
			readonly news: "revoked";
			readonly partition: string;
			readonly at: number;
			readonly lastAt: number | undefined;
	  }
	/** Names of the processes that take part from now on. */
	| { readonly news: "members"; readonly names: readonly string[]; readonly at: number }
	/** The first records of a partition after it was assigned: handled by `at`. */
	| { readonly news: "processed"; readonly partition: string; readonly at: number; readonly offset: number }
	| { readonly news: "line"; readonly level: string; readonly text: string };
