/** The seed's tests for the server file on one node; on three they run in servers.test.ts, with its cluster. */
import { describe } from "vitest";
import { useCluster } from "../kit/cluster.ts";
import { serverFileTests } from "./server-file.ts";

describe("test_kafka_server, on one node", () => {
	serverFileTests(useCluster(1));
});
