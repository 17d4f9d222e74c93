/**
 * `mycelog start`: one node as a process, from its signals to its exit code. What a node is made of is node.ts.
 */
import type { Logger } from "pino";
import { banner } from "./banner.ts";
import { describeConfig, type ResolvedConfig } from "./config.ts";
import { createLogger } from "./logger.ts";
import { createMycelog, type Mycelog } from "./node.ts";

/** Resolves when the node is ready; the process then lives until a signal. Rejects where it cannot start. */
export async function start(resolved: ResolvedConfig): Promise<void> {
	const { config } = resolved;
	const logger = createLogger(config);
	const options = Object.entries(describeConfig(resolved));
	logger.info(
		{ options: Object.fromEntries(options.filter(([, { from }]) => from !== "default")) },
		"configuration",
	);
	exitOnFaults(logger);
	const mycelog = await createMycelog(config, {
		logger,
		onPlaceLost: (error) => {
			logger.fatal({ code: error.code, ...error.details }, `${error.message}. ${error.fix}`);
			process.exit(1);
		},
	});
	const stopping = stopOnSignals(mycelog, logger);
	try {
		await mycelog.start();
		await mycelog.ready();
	} catch (error) {
		if (stopping.signal.aborted) return;
		throw error;
	}
	if (stopping.signal.aborted) return;
	process.stdout.write(banner(config, mycelog.port, mycelog.node.name.id));
}

/** The first signal stops the node within its deadline, the second ends the process at once. */
function stopOnSignals(mycelog: Mycelog, logger: Logger): AbortController {
	const stopping = new AbortController();
	const stop = (name: NodeJS.Signals) => {
		if (stopping.signal.aborted) process.exit(1);
		stopping.abort();
		logger.info({ signal: name, deadlineMs: mycelog.config.shutdownDeadlineMs }, "stopping");
		mycelog.stop().then(
			() => {
				logger.info({}, "stopped");
				process.exit(0);
			},
			(err) => {
				logger.fatal({ err }, "could not stop in order");
				process.exit(1);
			},
		);
	};
	process.on("SIGTERM", stop);
	process.on("SIGINT", stop);
	return stopping;
}

/** After a fault nobody expected, memory may be wrong; the log is right, and the next start reads it. */
function exitOnFaults(logger: Logger): void {
	for (const event of ["uncaughtException", "unhandledRejection"] as const) {
		process.on(event, (err: unknown) => {
			logger.fatal({ err }, event);
			process.exit(1);
		});
	}
}
