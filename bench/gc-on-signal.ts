/** Loaded before a measured server (`node --import`): collects garbage on SIGUSR2. Owns nothing else. */
import { collectGarbage } from "./garbage.ts";

process.on("SIGUSR2", () => {
	collectGarbage();
	const kilobytes = Math.round(process.memoryUsage().heapUsed / 1024);
	process.stdout.write(`garbage collected: ${kilobytes} KB\n`);
});
