/** What the Kafka log must hold to, over @platformatic/kafka. */
import { describe } from "vitest";
import { describeKafkaLog } from "./log-kafka-claims.ts";

describe.each(["platformatic"] as const)("on %s:", describeKafkaLog);
