/** The JavaScript client in a page: commands come from driver_browser.mjs, the client from the server it connects to. */
import { commands, kit } from "./commands.mjs";

let client;

async function clientOf({ server_url }) {
	client ??= import(`${server_url}/assets/hypha-rpc-websocket.mjs`);
	return client;
}

Object.assign(kit, {
	connectToServer: async (options) => (await clientOf(options)).connectToServer(options),
	login: async (options) => (await clientOf(options)).login(options),
	bytes: (data) => {
		let letters = "";
		for (let at = 0; at < data.length; at += 8_192) {
			letters += String.fromCharCode(...data.subarray(at, at + 8_192));
		}
		return { $bytes: btoa(letters) };
	},
});

globalThis.command = (name, parameters) => commands[name](parameters);
