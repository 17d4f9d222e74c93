/**
 * The version in package.json, which lies one level up from the sources and two from the built files.
 */
import { readFileSync } from "node:fs";

export const VERSION: string = readVersion(["../package.json", "../../package.json"]);

function readVersion(places: readonly string[]): string {
	for (const place of places) {
		try {
			const { name, version } = JSON.parse(readFileSync(new URL(place, import.meta.url), "utf8"));
			if (name === "mycelog") return version;
		} catch (error) {
			if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
		}
	}
	throw new Error("the package.json of mycelog is missing");
}
