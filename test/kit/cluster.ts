/**
 * Several nodes over one Kafka prefix for a group of tests, and their workspaces. A client that says nothing else
 * connects to any of them, as behind a load balancer.
 */
import { afterAll, beforeAll } from "vitest";
import { NodeProcess } from "./node-process.ts";

/** Started before the group's tests and removed after them. */
export function useCluster(count: number, ...options: string[]): readonly NodeProcess[] {
	const nodes: NodeProcess[] = [];
	beforeAll(async () => {
		nodes.push(...(await NodeProcess.startCluster(count, { extra: options })));
	});
	afterAll(() => Promise.all(nodes.map((node) => node.remove())));
	return nodes;
}
