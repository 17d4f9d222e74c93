/** The public surface of the runtime, for embedding. Owns nothing. */
export { type ActorsFilter, actors, type ListedActor } from "./actor-list.ts";
export {
	ActorRef,
	type AskOptions as RefAskOptions,
	type EmittedEvent,
	type RangeOptions,
	type TellOptions,
} from "./actor-ref.ts";
export { type Address, addressOf, partitionOf, typeOf } from "./address.ts";
export { type AuditEntry, type AuditOptions, audit } from "./audit.ts";
export type { Behaviour, Behaviours, Step } from "./behaviour.ts";
export type { DelayMeaning, MissedTicks, ScheduleParams } from "./calendar.ts";
export {
	type CheckedActor,
	type CheckFinding,
	type CheckOptions,
	type CheckReason,
	checkHistories,
} from "./check.ts";
export { type Clock, systemClock } from "./clock.ts";
export type { DeadLetter } from "./dead-letters.ts";
export {
	type ActorDefinition,
	type ActorOptions,
	type ActorState,
	defineActor,
	type EffectHandler,
	type EventOf,
	type Retries,
} from "./define-actor.ts";
export type { Difference } from "./difference.ts";
export { durableActions, type ReplyParams, type TellParams } from "./durable-actions.ts";
export type { OnMismatch } from "./durable-behaviour.ts";
export type { SnapshotForm, StoredMachine } from "./durable-state.ts";
export type { Effect, Outlet, ReplyResult } from "./effect.ts";
export type { EffectAt } from "./effect-differences.ts";
export { EmbeddedActors } from "./embedded-actors.ts";
export { createNode, EmbeddedNode, type EmbeddedNodeOptions } from "./embedded-node.ts";
export { EVENT_BEHAVIOURS } from "./event-actors.ts";
export { EventBus, EventOutlets, type EventStatus, type WaitOptions } from "./event-bus.ts";
export type { EventData, JsonValue } from "./event-data.ts";
export type { EventHandler, EventInfo, EventMatch } from "./event-handlers.ts";
export { type ExportFilter, exportHistories } from "./export.ts";
export type { OnFailure } from "./failures.ts";
export { type DryRun, type DryRunOptions, dryRun, type Edit, type FoldedState, type Fork } from "./fork.ts";
export { type HistoryEntry, type HistoryOptions, type HistoryOutcome, history } from "./history.ts";
export { HistoryIndex } from "./history-index.ts";
export type { HeldMessage, Hold } from "./hold.ts";
export { type Imported, type ImportOptions, importHistories } from "./import.ts";
export type { Latency } from "./latency.ts";
export type { Logger, LogLine } from "./logger.ts";
export { type EventMeta, type MachineBehaviourOptions, machineBehaviour } from "./machine-behaviour.ts";
export {
	type Draft,
	type Event,
	encodeBody,
	eventOf,
	type Message,
	type MessageKind,
	type Origin,
	type ReplyTo,
} from "./message.ts";
export type { RuntimeMetrics } from "./metrics.ts";
export { type AskOptions, type Expectation, Node, type NodeOptions, RefusedError } from "./node.ts";
export {
	type Mailbox,
	mailboxOf,
	type OperatorParts,
	type ScanProgress,
	type WritableParts,
} from "./operator.ts";
export type { ParkedLetter, ParkedOptions } from "./parked.ts";
export type { LocalOutlets } from "./partition-effects.ts";
export { Projection, type ProjectionStatus } from "./projection.ts";
export type { ProjectedRecord, ProjectionBatch } from "./projection-batch.ts";
export type { ProjectionOptions } from "./projection-loop.ts";
export { type PromoteOptions, type Promotion, promote } from "./promote.ts";
export type { Reason } from "./reason.ts";
export { type LiveRebuild, type LiveRebuildOptions, rebuildLive } from "./rebuild-live.ts";
export { type Replay, type ReplayOptions, replay } from "./replay.ts";
export {
	ACTORS_TOPIC,
	CLIENTS_TOPIC,
	DEAD_LETTERS_TOPIC,
	mailboxTopics,
	PARTITIONS_DEFAULT,
} from "./topics.ts";
export {
	type Mismatch,
	type Rebuild,
	rebuild,
	type Verification,
	type VerifyOptions,
	verify,
	type WithSnapshots,
} from "./verify.ts";
export type { WorkTools, WorkToRun } from "./work.ts";
