/** What the Kafka log must hold to, over kafkajs. */
import { describe } from "vitest";
import { describeKafkaLog } from "./log-kafka-claims.ts";

describe.each(["kafkajs"] as const)("on %s:", describeKafkaLog);
