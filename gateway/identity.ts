/**
 * Who speaks on a connection, as the gateway knows it from the token. Owns the names derived from it; what it may do
 * is decided in actors/.
 */
import type { Permission, User } from "../actors/user.ts";
import { type Address, addressOf } from "../runtime/address.ts";
import { type Stamp, stampOf } from "./frame.ts";

export class Identity {
	readonly workspace: string;
	readonly client: string;
	readonly user: User;
	readonly address: Address;
	/** What the workspace granted; until it has answered, nothing that a member would not have. */
	permission: Permission = "r";
	/** To the socket itself, past the mailbox: for what must be said while the log takes nothing. Its bounds may drop it. */
	direct: (frame: Uint8Array) => void = () => {};
	#stamp: Stamp | undefined;

	constructor(workspace: string, client: string, user: User) {
		this.workspace = workspace;
		this.client = client;
		this.user = user;
		this.address = clientAddress(workspace, client);
	}

	/** `workspace/client`, as frames name it. */
	get peer(): string {
		return `${this.workspace}/${this.client}`;
	}

	/** As every frame of the connection says it. Made with the first one: many clients only listen. */
	get stamp(): Stamp {
		this.#stamp ??= stampOf(this.peer, this.workspace, this.user);
		return this.#stamp;
	}
}

export function clientAddress(workspace: string, client: string): Address {
	return addressOf("client", workspace, client);
}
