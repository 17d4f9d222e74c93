/** The manager's methods before real workspace and directory actors, without a log and without sockets. */
import type { User } from "../../actors/user.ts";
import { type ManagerContext, managerMethods, managerObject } from "../../gateway/manager.ts";
import { ownMethods } from "../../gateway/own-services.ts";
import { Tokens } from "../../gateway/tokens.ts";
import { WorkspaceStage } from "./workspace-stage.ts";

interface ClientCall {
	readonly workspace: string;
	readonly client: string;
	readonly method: string;
	readonly args: readonly unknown[];
	/** In whose name; absent: the server's. */
	readonly caller?: ManagerContext["caller"] | undefined;
}

/** A user `x` calls as the client `x-client` of its own workspace. */
export class ManagerStage extends WorkspaceStage {
	readonly methods = Object.keys(managerMethods);
	readonly #tokens = new Tokens({ secret: "a secret for tests", rootToken: undefined, now: () => this.now });
	#client: (call: ClientCall) => unknown = ({ workspace, client }) => {
		throw new Error(`Target peer ${workspace}/${client} is not connected`);
	};

	/** How clients answer calls of the manager. */
	onClient(answer: (call: ClientCall) => unknown): void {
		this.#client = answer;
	}

	async call(
		user: User,
		method: string,
		args: Record<string, unknown> = {},
		service: "default" | "admin-utils" = "default",
	): Promise<unknown> {
		const methods = service === "default" ? managerMethods : (ownMethods(service) ?? {});
		return methods[method]?.run(args, this.#context(user));
	}

	object(): Readonly<Record<string, unknown>> {
		return managerObject(this.#context({ id: "nobody" } as User));
	}

	#context(user: User): ManagerContext {
		return {
			caller: { workspace: `ws-user-${user.id}`, client: `${user.id}-client`, user },
			node: {
				ask: async (address, event, { kind }) => this.ask(address, event, kind),
				names: () => ["n1", "n2"],
			},
			callClient: async (workspace, client, method, args, _, caller) =>
				this.#client({ workspace, client, method, args, caller }),
			loadOf: async (workspace, client) => this.#client({ workspace, client, method: "load", args: [] }),
			tokens: this.#tokens,
			baseUrl: "http://127.0.0.1:1",
			managerId: "manager-test",
			random: () => 0,
			now: () => this.now,
			serverInfo: { hypha_version: "1" },
		};
	}
}
