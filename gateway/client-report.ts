/**
 * What a gateway tells a client's actor of its connection: how far it got, that it ended. Owns how hard it tries, and
 * what becomes of what cannot be told.
 */
import { MycelogError } from "../persistence/errors.ts";
import type { Address } from "../runtime/address.ts";
import type { Event } from "../runtime/message.ts";
import type { GatewayParts } from "./gateway.ts";

export interface ClientReport extends Event {
	readonly type: "client.acked" | "client.left" | "client.cut";
	readonly connection: string;
	/** Newest mailbox offset that the client is known to have; -1: none. */
	readonly acked: number;
	/** What it had seen then; see Session. */
	readonly seen?: string | undefined;
}

export function reportClient(
	{ node, logger }: Pick<GatewayParts, "node" | "logger">,
	client: Address,
	report: ClientReport,
): void {
	// How far it got is told again with the next acknowledgement; its end only once.
	const told = report.type === "client.acked" ? node.tell(client, report) : node.report(client, report);
	told.catch((err) => {
		// The log is away. Who stops meanwhile is told by the next process to be gone, with all its connections.
		const isKnown = MycelogError.is(err) && (err.retryable || err.code === "log.closed");
		const fields = { err, address: client, type: report.type };
		logger[isKnown ? "debug" : "warn"](fields, "client actor not told");
	});
}
