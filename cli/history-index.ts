/**
 * The history index of a data directory, and what its kept states are worth to this process. Owns where it lies when the
 * directory cannot be written to; the index itself is the runtime's.
 */
import { randomBytes } from "node:crypto";
import { existsSync, readdirSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { HistoryIndexStore } from "../persistence/history-index.ts";
import { HistoryIndex } from "../runtime/history-index.ts";
import { VERSION } from "./version.ts";

/** `own`: with an embedder's actors, whose code nobody can tell from what it was yesterday: their states are of this process alone. */
export function historyIndexOf(dataDir: string, own: boolean): HistoryIndex {
	return new HistoryIndex(storeOf(dataDir), own ? randomBytes(9).toString("base64url") : shippedCode());
}

/** Without a directory, or one that can be written to, nothing is lost but time: each command makes it again. */
function storeOf(dataDir: string): HistoryIndexStore {
	if (!existsSync(dataDir)) return new HistoryIndexStore();
	try {
		return new HistoryIndexStore(dataDir);
	} catch {
		return new HistoryIndexStore();
	}
}

/** Another whenever a file of the behaviours or of the runtime is. */
function shippedCode(): string {
	const newest = ["../actors", "../runtime"].flatMap((folder) => {
		const directory = fileURLToPath(new URL(folder, import.meta.url));
		return readdirSync(directory).map((file) => statSync(`${directory}/${file}`).mtimeMs);
	});
	return `${VERSION}@${Math.max(...newest)}`;
}
