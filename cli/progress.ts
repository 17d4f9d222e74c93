/**
 * A progress bar on stderr for scans that take a while. Owns when it shows: in a terminal, after half a second.
 */
import { SingleBar } from "cli-progress";
import type { ScanProgress } from "../runtime/operator.ts";

/** Answers that come sooner need no bar. */
const SHOWN_AFTER_MS = 500;

export interface Progress {
	readonly onProgress: (progress: ScanProgress) => void;
	readonly stop: () => void;
}

/** `unit`: what is counted, for example "records". */
export function progressBar(unit: string, stream: NodeJS.WriteStream = process.stderr): Progress {
	if (!stream.isTTY) return { onProgress: () => {}, stop: () => {} };
	const format = `{bar} {percentage}% {value}/{total} ${unit}, {rate} ${unit}/s, {eta_formatted} left`;
	const bar = new SingleBar({ format, stream, clearOnComplete: true, hideCursor: true });
	const startedAt = performance.now();
	let shown = false;
	return {
		onProgress({ scanned, total }) {
			const elapsed = performance.now() - startedAt;
			if (elapsed < SHOWN_AFTER_MS) return;
			const rate = Math.round((scanned * 1_000) / elapsed);
			if (!shown) bar.start(total, scanned, { rate });
			shown = true;
			bar.update(scanned, { rate });
		},
		stop() {
			if (shown) bar.stop();
		},
	};
}
