/** The forms of the operator API's answers. Owns nothing that runs: of the runtime the console knows types alone. */
import type { ListedActor } from "../runtime/actor-list.ts";
import type { AuditEntry } from "../runtime/audit.ts";
import type { Chart, ChartState, ChartTransition } from "../runtime/chart.ts";
import type { DeadLetter } from "../runtime/dead-letters.ts";
import type { DryRun, Edit } from "../runtime/fork.ts";
import type { HistoryEntry, HistoryOutcome } from "../runtime/history.ts";
import type { LetterOutcome } from "../runtime/letter-outcomes.ts";
import type { LetterStatus } from "../runtime/letter-status.ts";
import type { LiveRebuild } from "../runtime/rebuild-live.ts";
import type { Verification } from "../runtime/verify.ts";
import type { Survey as SurveyOfNode, Wrong } from "../runtime/verify-many.ts";

export type {
	AuditEntry,
	Chart,
	ChartState,
	ChartTransition,
	DryRun,
	Edit,
	HistoryEntry,
	HistoryOutcome,
	LetterStatus,
	Verification,
	Wrong,
};

export interface Survey extends SurveyOfNode {
	/** Names of partitions that no node answered for. */
	readonly unanswered: readonly string[];
}

export interface StalledOn {
	readonly offset: number;
	/** Milliseconds since 1970. */
	readonly since: number;
	readonly address?: string;
	readonly type?: string;
}

export interface PartitionRow {
	readonly topic: string;
	readonly partition: number;
	/** Id of the node; absent: another one than that which was asked. */
	readonly owner?: string;
	/** These three are known to the owner alone. */
	readonly live?: boolean;
	readonly next?: number;
	readonly lag?: number;
	readonly end: number;
	readonly stalledOn?: StalledOn;
}

export interface Overview {
	readonly node: string;
	readonly version: string;
	readonly nodes: readonly string[];
	readonly partitions: readonly PartitionRow[];
	readonly health: {
		readonly ready: boolean;
		readonly log: string;
		readonly status: string;
		readonly reasons: readonly string[];
	};
	readonly counts: Readonly<Record<string, number>>;
	/** They only grow; `now` is when they were read. */
	readonly counters: { readonly now: number } & Readonly<Record<string, number>>;
}

export interface ActorRow extends Omit<ListedActor, "paused"> {
	readonly type: string;
	readonly paused?: boolean;
}

export interface ActorsPage {
	readonly actors: readonly ActorRow[];
	readonly next?: string;
}

export interface Timer {
	readonly id: string;
	/** Milliseconds since 1970. */
	readonly at: number;
}

export interface HoldView {
	readonly since: number;
	readonly cause: string;
	/** The first message is the one that failed. */
	readonly failed: boolean;
	/** Messages kept, of which the first ones are named. */
	readonly held: number;
	readonly messages: readonly { readonly offset: number; readonly type: string }[];
}

export interface ActorDetail {
	readonly address: string;
	readonly type: string;
	readonly partition: string;
	readonly offset: number;
	readonly state: string;
	readonly value: unknown;
	readonly timers: readonly Timer[];
	readonly hold?: HoldView;
	/** Whether actors of this type can wait for an operator at all. */
	readonly pausable: boolean;
	readonly chart?: Chart & { readonly active: readonly string[] };
}

type Message = Pick<HistoryEntry, "offset" | "timestamp" | "kind" | "type" | "from" | "event">;

/** A message, and what it did as soon as that is known: it takes a fold of all that was before. */
export type Entry = Message &
	Partial<Omit<HistoryEntry, keyof Message>> & {
		/** Ids in the chart of the states it was in behind this message. */
		readonly active?: readonly string[];
	};

export interface HistoryPage {
	readonly entries: readonly Entry[];
	readonly next?: number;
	readonly start: number;
	readonly end: number;
}

export interface Letter extends DeadLetter {
	readonly parkedAt: number;
	readonly status: LetterStatus;
	readonly outcome?: LetterOutcome;
}

export interface LettersPage {
	readonly letters: readonly Letter[];
	readonly next?: string;
}

export interface LetterDetail extends Letter {
	/** The message; absent: the log does not keep it any more. */
	readonly record?: {
		readonly timestamp: number;
		readonly kind?: string;
		readonly from?: string;
		readonly event?: unknown;
		readonly unreadable?: string;
		readonly headers: Readonly<Record<string, string>>;
	};
}

export interface LettersDone {
	readonly retried?: number;
	readonly dropped?: number;
	readonly left: number;
	readonly more: boolean;
	readonly letters: readonly { readonly id: string; readonly result: string; readonly reason?: string }[];
}

export interface Rebuilt {
	readonly rebuilt: readonly LiveRebuild[];
	/** Asked for, and not answered in time. */
	readonly waiting: number;
}
