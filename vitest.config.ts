/**
 * How the tests run: real processes and a real broker, so few workers and generous times.
 */
import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		include: ["test/**/*.test.ts"],
		globalSetup: [
			"test/kit/quick-start.ts",
			"test/kit/global-setup.ts",
			"test/kit/python.ts",
			"test/kit/console-page.ts",
		],
		pool: "forks",
		maxWorkers: 2,
		testTimeout: 60_000,
		hookTimeout: 180_000,
	},
});
