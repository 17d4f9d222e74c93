/**
 * Loaded before a measured node (`node --import`): tells on SIGUSR2 how many bytes have come from its brokers so far.
 * Owns nothing else; a node opens connections to nobody but brokers.
 */
import { subscribe } from "node:diagnostics_channel";
import type { Socket } from "node:net";

const sockets = new Set<Socket>();
let ended = 0;

subscribe("net.client.socket", (message) => {
	const { socket } = message as { readonly socket: Socket };
	sockets.add(socket);
	socket.once("close", () => {
		sockets.delete(socket);
		ended += socket.bytesRead;
	});
});

process.on("SIGUSR2", () => {
	const open = [...sockets].reduce((sum, socket) => sum + socket.bytesRead, 0);
	process.stdout.write(`bytes from brokers: ${ended + open}\n`);
});
