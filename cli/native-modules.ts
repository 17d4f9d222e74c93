/**
 * The two packages with compiled parts, tried before anything else needs them. Owns the advice when one is missing.
 */
import { MycelogError } from "../persistence/errors.ts";

export const NATIVE_MODULES = {
	"better-sqlite3": {
		load: async () => {
			const { default: Database } = await import("better-sqlite3");
			// The compiled part is loaded with the first database, not with the module.
			new Database(":memory:").close();
		},
		advice: () =>
			"run `npm install better-sqlite3` with this Node (its package holds builds for glibc and musl)",
	},
	"uWebSockets.js": {
		load: async () => {
			await import("uWebSockets.js");
		},
		advice: (nodeMajor: number) =>
			nodeMajor < 24
				? "use Node 22 on glibc Linux, macOS or Windows, for which the package that comes along is built"
				: "run `npm install uWebSockets.js@uNetworking/uWebSockets.js#v20.67.0` (Node 22, 24 and 26; on Linux glibc 2.38 or newer), or use Node 22",
	},
} as const;

export type NativeModule = keyof typeof NATIVE_MODULES;

export interface Platform {
	/** As `process.version`. */
	readonly node: string;
	/** For example `linux x64`. */
	readonly platform: string;
}

const THIS_PLATFORM: Platform = { node: process.version, platform: `${process.platform} ${process.arch}` };

/** Rejects with `config.native-module-missing`, which names package, Node version, platform and remedy. */
export async function requireNativeModule(
	name: NativeModule,
	load: () => Promise<void> = NATIVE_MODULES[name].load,
	{ node, platform }: Platform = THIS_PLATFORM,
): Promise<void> {
	try {
		await load();
	} catch (cause) {
		const advice = NATIVE_MODULES[name].advice(Number(/\d+/.exec(node)?.[0]));
		throw new MycelogError(
			"config.native-module-missing",
			`${name} does not load on Node ${node}, ${platform}: ${advice}`,
			{ module: name, node, platform },
			{ cause },
		);
	}
}
