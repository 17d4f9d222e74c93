/** What the package exports, as declarations: where its entry points are, and how they are built. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** By the name of the page or report: below the directory that is built. */
export const ENTRY_POINTS: Readonly<Record<string, string>> = {
	mycelog: "cli/node.d.ts",
	runtime: "runtime/index.d.ts",
	persistence: "persistence/index.d.ts",
	testing: "testing/index.d.ts",
};

/** Of a program that reads them: as a user's would be. */
export function settingsFor(dist: string): object {
	return {
		compilerOptions: {
			module: "nodenext",
			target: "es2024",
			lib: ["es2024"],
			types: ["node"],
			typeRoots: [join(ROOT, "node_modules/@types")],
			strict: true,
			skipLibCheck: true,
		},
		include: [`${dist}/**/*.d.ts`],
	};
}

/** Builds them in a place of their own, which is there as long as `use` runs. */
export async function withDeclarations<Result>(
	use: (dist: string) => Result | Promise<Result>,
): Promise<Result> {
	const place = mkdtempSync(join(tmpdir(), "mycelog-declarations-"));
	try {
		// TypeDoc takes what belongs to no package as another's.
		cpSync(join(ROOT, "package.json"), join(place, "package.json"));
		const dist = join(place, "dist");
		const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
		const options = ["--outDir", dist, "--emitDeclarationOnly", "--sourceMap", "false"];
		execFileSync(process.execPath, [tsc, "-p", join(ROOT, "tsconfig.build.json"), ...options], {
			cwd: ROOT,
			stdio: "inherit",
		});
		return await use(dist);
	} finally {
		rmSync(place, { recursive: true });
	}
}
