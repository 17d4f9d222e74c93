/** The raw limit of the gateway: uWebSockets.js sends every frame back. Prints `ready URL`. Owns nothing else. */
import { App, us_socket_local_port } from "uWebSockets.js";

App()
	.ws("/ws", { message: (ws, message, isBinary) => void ws.send(message, isBinary) })
	.listen("127.0.0.1", 0, (socket) => {
		process.stdout.write(`ready http://127.0.0.1:${us_socket_local_port(socket)}\n`);
	});
process.on("SIGTERM", () => process.exit(0));
