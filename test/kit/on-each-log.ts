/**
 * The same claims on the embedded log and on Kafka: one node for a group of tests, its workspaces and tokens.
 */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe } from "vitest";
import { LOGS, NodeProcess, ROOT_TOKEN } from "./node-process.ts";
import { RawClient } from "./raw-client.ts";

/** `body` runs once a log; the node it is given is up as soon as its tests and hooks run. */
export function onEachLog(
	title: string,
	body: (node: () => NodeProcess) => void,
	...options: string[]
): void {
	describe.each(LOGS)(`${title}, on the %s log`, (driver) => {
		let node: NodeProcess | undefined;
		beforeAll(async () => {
			node = await NodeProcess.start(driver, options);
		});
		afterAll(() => node?.remove());
		body(() => node as NodeProcess);
	});
}

export interface TestWorkspace {
	readonly id: string;
	/** For a client that reads, writes and registers in it. */
	readonly token: string;
}

export function connectRoot(node: NodeProcess, clientId = `root-${randomName()}`): Promise<RawClient> {
	return RawClient.patiently(node.url, { clientId, token: ROOT_TOKEN });
}

/** A persistent workspace and a read-write token for it. */
export async function makeWorkspace(node: NodeProcess, label: string): Promise<TestWorkspace> {
	const root = await connectRoot(node);
	const id = `${label}-${randomName()}`;
	await root.manage("create_workspace", { id, name: id, description: label, persistent: true });
	const token = await root.manage("generate_token", { workspace: id, permission: "read_write" });
	await root.leave();
	return { id, token: token as string };
}

function randomName(): string {
	return randomBytes(4).toString("hex");
}
