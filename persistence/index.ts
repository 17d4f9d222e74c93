/** The public surface of the persistence layer. Owns nothing. */
export { Appender, type AppenderStats, type AppenderTime, type AppendOptions } from "./appender.ts";
export type { BreakerState } from "./breaker.ts";
export { ERROR_CATALOGUE, type ErrorCode, MycelogError } from "./errors.ts";
export { HistoryIndexStore } from "./history-index.ts";
export type { KafkaClient } from "./kafka-client-names.ts";
export type { KafkaSasl, KafkaSecurity, KafkaTls } from "./kafka-security.ts";
export type * from "./log.ts";
export { partitionName } from "./log.ts";
export { KafkaLog, type KafkaLogOptions } from "./log-kafka.ts";
export { SqliteLog, type SqliteLogOptions } from "./log-sqlite.ts";
export type * from "./snapshots.ts";
export { SqliteSnapshots, type SqliteSnapshotsOptions } from "./snapshots-sqlite.ts";
