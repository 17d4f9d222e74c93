/** Preloaded into a measured server: after a SIGHUP it counts how late its event loop is, on SIGUSR2 it says so. Owns nothing else. */
import { monitorEventLoopDelay } from "node:perf_hooks";

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
process.on("SIGHUP", () => delay.reset());
process.on("SIGUSR2", () => {
	process.stdout.write(`event loop delay: ${delay.percentile(99) / 1e6} ms\n`);
});
