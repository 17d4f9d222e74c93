/** The libraries that may carry the Kafka log. Owns their names alone: who only reads options need not load one. */

export const KAFKA_CLIENTS = ["kafkajs", "platformatic"] as const;
/** The library that speaks to Kafka. */
export type KafkaClient = (typeof KAFKA_CLIENTS)[number];
