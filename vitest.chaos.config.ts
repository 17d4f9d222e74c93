/**
 * `npm run test:chaos`: many seeded rounds with real faults, crowds, a real Hypha beside; in a lane of its own because
 * they take long.
 */
import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		include: ["test/**/*.chaos.ts"],
		globalSetup: ["test/kit/quick-start.ts", "test/kit/global-setup.ts", "test/kit/python.ts"],
		pool: "forks",
		// Rounds share the machine with the brokers and nodes that they start.
		maxWorkers: 1,
		testTimeout: 400_000,
		hookTimeout: 180_000,
	},
});
