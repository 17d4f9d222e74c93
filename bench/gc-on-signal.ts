/**
 * Loaded before a measured server (`node --expose-gc --import`): collects garbage on SIGUSR2, so that resident
 * memory is what the program keeps and not what it has not thrown away yet. Owns nothing else.
 */

process.on("SIGUSR2", () => {
	globalThis.gc?.();
	globalThis.gc?.();
	const kilobytes = Math.round(process.memoryUsage().heapUsed / 1024);
	process.stdout.write(`garbage collected: ${kilobytes} KB\n`);
});
