/** The console's pages by name. Owns their order in the navigation. */
import type { FunctionComponent } from "preact";
import type { Api } from "../api.ts";
import type { Route } from "../routes.ts";
import { ActorPage } from "./actor.tsx";
import { ActorsPage } from "./actors.tsx";
import { AuditPage } from "./audit.tsx";
import { DeadLettersPage } from "./dead-letters.tsx";
import { OverviewPage } from "./overview.tsx";
import { VerifyPage } from "./verify.tsx";
import { WorkspacesPage } from "./workspaces.tsx";

export interface PageProps {
	readonly api: Api;
	readonly route: Route;
}

export const PAGES: readonly {
	/** The first one is the one in the navigation. */
	readonly names: readonly string[];
	readonly label: string;
	readonly Page: FunctionComponent<PageProps>;
}[] = [
	{ names: ["overview"], label: "Overview", Page: OverviewPage },
	{
		names: ["actors", "actor"],
		label: "Actors",
		Page: (props) => (props.route.name === "actor" ? <ActorPage {...props} /> : <ActorsPage {...props} />),
	},
	{ names: ["dead-letters"], label: "Dead letters", Page: DeadLettersPage },
	{ names: ["workspaces"], label: "Workspaces", Page: WorkspacesPage },
	{ names: ["verify"], label: "Verify", Page: VerifyPage },
	{ names: ["audit"], label: "Audit", Page: AuditPage },
];

export function titleOf({ name, rest }: Route): string {
	if (rest) return rest;
	return PAGES.find(({ names }) => names.includes(name))?.label ?? "Not found";
}
