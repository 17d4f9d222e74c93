/** A stage with workspaces and the directory, and the few steps that most tests of workspaces begin with. */
import { directoryBehaviour } from "../../actors/directory.ts";
import type { ServicePage } from "../../actors/service-page.ts";
import type { User } from "../../actors/user.ts";
import { userBehaviour } from "../../actors/user-connections.ts";
import { workspaceBehaviour } from "../../actors/workspace.ts";
import { Stage } from "./stage.ts";
import { caller } from "./users.ts";

export class WorkspaceStage extends Stage {
	#generation = 100;

	constructor() {
		super([workspaceBehaviour, directoryBehaviour, userBehaviour]);
	}

	/** Ends with an empty list of effects. Gives the generation. */
	join(
		workspace: string,
		client: string,
		user: User,
		options: { readonly persistent?: boolean } = {},
	): number {
		const generation = this.#generation++;
		const { persistent = false } = options;
		const ensure = { record: { persistent, owners: [user.id] } };
		this.tell(`workspace/${workspace}`, { type: "member.join", client, generation, user, ensure });
		this.take();
		return generation;
	}

	/** A client with its built-in service, as published clients are after connecting. */
	connect(workspace: string, client: string, user: User): number {
		const generation = this.join(workspace, client, user);
		this.register(workspace, client, user, {
			id: "built-in",
			type: "built-in",
			config: { visibility: "public" },
		});
		this.take();
		return generation;
	}

	register(workspace: string, client: string, user: User, service: Record<string, unknown>): unknown {
		const id = `${workspace}/${client}:${service["id"]}`;
		const event = {
			type: "service.register",
			service: { ...service, id },
			caller: caller(client, workspace, user),
		};
		return this.ask(`workspace/${workspace}`, event);
	}

	subscribe(workspace: string, client: string, user: User, ...types: string[]): void {
		const event = { type: "events.subscribe", types, caller: caller(client, workspace, user) };
		this.ask(`workspace/${workspace}`, event);
	}

	list(workspace: string, who: ReturnType<typeof caller>, more: Record<string, unknown> = {}): string[] {
		return this.page(workspace, who, more).services.map(({ id }) => id);
	}

	/** The first page of a list, or the one that begins at `from`. */
	page(workspace: string, who: ReturnType<typeof caller>, more: Record<string, unknown> = {}): ServicePage {
		const question = { match: {}, includeUnlisted: false, everywhere: false, ...more };
		const event = { type: "service.list", caller: who, ...question };
		return this.ask(`workspace/${workspace}`, event, "query") as ServicePage;
	}
}

/** A system event as it is posted to a subscriber. */
export function posted(workspace: string, subscriber: string, event: string, data: unknown) {
	return { type: "post", to: `client/${workspace}/${subscriber}`, event: { type: "event", event, data } };
}
