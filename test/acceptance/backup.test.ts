/**
 * A node is backed up by command while clients call, its machine is lost, and a node on the restored directory goes on.
 */

import { randomBytes } from "node:crypto";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type ActorLine, askOperator, mycelog } from "../kit/mycelog.ts";
import { NodeProcess } from "../kit/node-process.ts";
import { makeWorkspace, type TestWorkspace } from "../kit/on-each-log.ts";
import { RawClient } from "../kit/raw-client.ts";

const BACKUP = join(tmpdir(), `mycelog-backup-${randomBytes(6).toString("hex")}`);

let node: NodeProcess;
let team: TestWorkspace;

beforeAll(async () => {
	node = await NodeProcess.start("sqlite");
	team = await makeWorkspace(node, "kept");
});
afterAll(async () => {
	await node?.remove();
	await rm(BACKUP, { recursive: true, force: true });
});

function member(clientId: string): Promise<RawClient> {
	return RawClient.patiently(node.url, { clientId, workspace: team.id, token: team.token });
}

test("a backup under load, restored after the loss of everything, holds what was answered before it and verifies", async () => {
	const provider = await member("provider");
	await provider.serve("echo", (_, [value]) => value);
	const caller = await member("caller");
	let calls = 0;
	let calling = true;
	const load = (async () => {
		while (calling) {
			const value = String(calls);
			await caller.manage("set_env", "STEP", value);
			expect(await caller.call(provider.peer, "services.echo.say", [value])).toBe(value);
			calls++;
		}
	})();
	await caller.manage("set_env", "BEFORE", "kept");
	const before = calls;
	const backup = await mycelog(["backup", BACKUP, "--data-dir", node.dataDir]);
	expect(backup).toMatchObject({
		exitCode: 0,
		stdout: expect.stringMatching(/^\d+ records in \d+ partitions/),
	});
	const after = calls;
	calling = false;
	await load;
	expect(after).toBeGreaterThan(before);

	const live = await mycelog(["restore", BACKUP, "--data-dir", node.dataDir]);
	expect(live).toMatchObject({ exitCode: 1, stderr: expect.stringContaining("code: log.in-use") });
	await node.kill9();
	await rm(node.dataDir, { recursive: true });
	expect(await mycelog(["restore", BACKUP, "--data-dir", node.dataDir])).toMatchObject({ exitCode: 0 });

	const actors = await askOperator<ActorLine[]>(node, "actors", "--under", "workspace/kept");
	expect(actors.map(({ address }) => address)).toEqual([`workspace/${team.id}`]);
	expect(await mycelog(["verify", "--all", "--data-dir", node.dataDir])).toMatchObject({ exitCode: 0 });

	await node.restart();
	const again = await member("again");
	expect(await again.manage("get_env", "BEFORE")).toBe("kept");
	const step = Number(await again.manage("get_env", "STEP"));
	expect(step).toBeGreaterThanOrEqual(before - 1);
	expect(step).toBeLessThanOrEqual(after + 1);
	const providerAgain = await member("provider");
	await providerAgain.serve("echo", (_, [value]) => value);
	expect(await again.call(providerAgain.peer, "services.echo.say", ["back"])).toBe("back");
	expect(node.output()).not.toMatch(/ ERROR /);
});

test("a backup of a directory without an embedded log is a wrong command line", async () => {
	const nowhere = await mycelog(["backup", `${BACKUP}-2`, "--data-dir", `${BACKUP}-none`]);
	expect(nowhere).toMatchObject({
		exitCode: 2,
		stderr: expect.stringContaining("code: config.invalid-value"),
	});
});
