/**
 * Manager methods about services: register, find, fetch, list (services.md §4–5).
 * Owns the calls to providers and lists over many workspaces; registries and visibility are the workspaces'.
 */

import { DIRECTORY_ADDRESS } from "../actors/directory-address.ts";
import { workspaceIdProblem } from "../actors/service-id.ts";
import type { PageStart, ServicePage } from "../actors/service-page.ts";
import { parseServiceQuery, type ServiceQuery, serviceId } from "../actors/service-query.ts";
import type { ServiceCandidate } from "../actors/workspace-queries.ts";
import type { ServiceRecord } from "../actors/workspace-service-record.ts";
import type { Registered } from "../actors/workspace-services.ts";
import type { Event } from "../runtime/message.ts";
import {
	ACTOR_ANSWER_MS_MAX,
	type Arguments,
	command,
	type ManagerContext,
	type ManagerMethods,
	milliseconds,
	options,
	query,
} from "./manager-context.ts";
import { refuseNotOffered } from "./not-offered.ts";
import { ownObject, ownRecord, ownRecords, ownService } from "./own-services.ts";
import { absoluteTargets } from "./rpc-value.ts";
import { choose, SELECT_SECONDS_DEFAULT, SELECT_SECONDS_MAX, serviceMode } from "./service-choice.ts";

/** A provider's time to hand out its service when the caller names none, seconds. */
const GET_SERVICE_SECONDS_DEFAULT = 10;
const GET_SERVICE_SECONDS_MAX = 60;
/** A new default service's time for its `setup()`, milliseconds. */
const SETUP_MS_MAX = 10_000;
/** Workspaces asked at the same time by a list over many. */
const WORKSPACES_ASKED_AT_ONCE_MAX = 16;
/** Services in one answer: it is made in memory before it leaves. */
const LISTED_SERVICES_MAX = 20_000;

interface Resolved extends ServiceCandidate {
	readonly workspace: string;
}

/** The manager can be fetched as a service too; its object is made where the whole table is known. */
export type ManagerObject = (context: ManagerContext) => Readonly<Record<string, unknown>>;

export const serviceMethods = (managerObject: ManagerObject): ManagerMethods => ({
	register_service: {
		parameters: ["service", "config"],
		required: 1,
		doc: "Register a service of this client in its workspace.",
		run: registerService,
	},
	unregister_service: {
		parameters: ["service_id"],
		required: 1,
		doc: "Remove a service from the workspace.",
		run: ({ service_id }, context) =>
			command(context, context.caller.workspace, { type: "service.unregister", service_id }),
	},
	get_service: {
		parameters: ["service_id", "config"],
		required: 1,
		doc: "Get a service as an object with its methods.",
		schema: {
			type: "object",
			properties: { service_id: { type: "string" }, config: { type: "object" } },
			required: ["service_id"],
		},
		run: async (args, context) => {
			const id = args["service_id"];
			if (isManager(id)) return managerObject(context);
			const own = ownService(id, context);
			return own ? ownObject(own, context) : getService(args, context);
		},
	},
	get_service_info: {
		parameters: ["service_id", "config"],
		required: 1,
		doc: "Get the record of a service, without its methods.",
		run: async (args, context) => {
			const id = args["service_id"];
			if (isManager(id)) return managerRecord(managerObject(context));
			const own = ownService(id, context);
			return own ? ownRecord(own, context) : (await resolve(args, context)).record;
		},
	},
	list_services: {
		parameters: ["query", "include_unlisted", "include_app_services", "prioritize_running_services"],
		required: 0,
		doc: "List services of this workspace, of another one, or public ones of all.",
		run: listServices,
	},
});

function isManager(id: unknown): boolean {
	return id === "~" || (typeof id === "string" && id.endsWith("/~"));
}

/** The manager is in no registry; its record is made of the object that clients get. */
function managerRecord(object: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>> {
	const { name, description, type, config } = object;
	return { id: "~", name, description, type, config, docs: null, app_id: "*", service_schema: null };
}

async function registerService({ service }: Arguments, context: ManagerContext): Promise<null> {
	const { workspace, client } = context.caller;
	const registered = (await command(context, workspace, { type: "service.register", service })) as Registered;
	if (registered.outcome === "added" && registered.id?.endsWith(":default")) {
		// As upstream: a provider's broken set-up is its own affair and does not undo the registration.
		await setUp(context, workspace, client).catch(() => undefined);
	}
	return null;
}

async function setUp({ callClient }: ManagerContext, workspace: string, client: string): Promise<void> {
	const args = ["default"];
	const fetched = await callClient(workspace, client, "services.built-in.get_service", args, SETUP_MS_MAX);
	if (!options(fetched, "service")["setup"]) return;
	await callClient(workspace, client, "services.default.setup", [], SETUP_MS_MAX);
}

async function getService(args: Arguments, context: ManagerContext): Promise<unknown> {
	const { timeout } = options(args["config"], "config");
	const timeoutMs = milliseconds(timeout, "timeout", GET_SERVICE_SECONDS_DEFAULT, GET_SERVICE_SECONDS_MAX);
	const { workspace, client, record } = await resolve(args, context);
	const name = record.id.slice(record.id.indexOf(":") + 1);
	const method = "services.built-in.get_service";
	const fetched = await context.callClient(workspace, client, method, [name], timeoutMs);
	const service = options(absoluteTargets(fetched, workspace), "service");
	const url = `${context.baseUrl}/${workspace}/services/${client}:${name}`;
	return { ...service, id: record.id, config: { ...options(service["config"], "config"), workspace, url } };
}

async function resolve({ service_id, config: given }: Arguments, context: ManagerContext): Promise<Resolved> {
	const { workspace = context.caller.workspace, client, service, app } = serviceId(service_id);
	if (workspaceIdProblem(workspace, true)) {
		throw new Error(`ValueError: Invalid workspace in service id: ${String(service_id)}`);
	}
	const config = options(given, "config");
	const mode = serviceMode(config["mode"] ?? (workspace === "public" ? "random" : "exact"));
	const asked = { client, service, app, seed: context.random() };
	if (mode.asks === "nobody") {
		const question = { type: "service.resolve", ...asked, mode: mode.mode };
		const found = await query(context, workspace, question).catch((error) => {
			refuseNotOffered(workspace, service);
			throw error;
		});
		return { workspace, ...(found as ServiceCandidate) };
	}
	const timeout = config["select_timeout"];
	const timeoutMs = milliseconds(timeout, "select_timeout", SELECT_SECONDS_DEFAULT, SELECT_SECONDS_MAX);
	const found = await query(context, workspace, { type: "service.candidates", ...asked });
	const candidates = found as readonly ServiceCandidate[];
	return { workspace, ...(await choose(mode, workspace, candidates, timeoutMs, context)) };
}

async function listServices(args: Arguments, context: ManagerContext): Promise<readonly ServiceRecord[]> {
	const { caller } = context;
	const asked = parseServiceQuery(args["query"], caller.workspace);
	const includeUnlisted = args["include_unlisted"] === true;
	const everywhere = asked.workspace.includes("*");
	const question = { type: "service.list", match: asked.match, includeUnlisted, everywhere };
	const list = (workspace: string) => pagesOf(context, workspace, question);
	if (!everywhere) {
		if (workspaceIdProblem(asked.workspace, true)) {
			throw new Error(`ValueError: Invalid workspace in query: ${asked.workspace}`);
		}
		return [...(await list(asked.workspace)), ...ownRecords(asked, context)];
	}
	const workspaces = await workspacesLike(asked, context);
	const services: ServiceRecord[] = [...ownRecords(asked, context)];
	for (let i = 0; i < workspaces.length; i += WORKSPACES_ASKED_AT_ONCE_MAX) {
		const some = workspaces.slice(i, i + WORKSPACES_ASKED_AT_ONCE_MAX);
		services.push(...(await Promise.all(some.map(list))).flat());
		boundList(services);
	}
	return services;
}

/** Page after page: between two of them the workspace serves others, and what it says is as of each page. */
async function pagesOf(
	context: ManagerContext,
	workspace: string,
	question: Event,
): Promise<ServiceRecord[]> {
	const services: ServiceRecord[] = [];
	let from: PageStart | undefined;
	do {
		const page = (await query(context, workspace, { ...question, from })) as ServicePage;
		services.push(...page.services);
		boundList(services);
		from = page.next;
	} while (from);
	return services;
}

function boundList({ length }: readonly ServiceRecord[]): void {
	if (length <= LISTED_SERVICES_MAX) return;
	throw new Error(
		`RuntimeError: More than ${LISTED_SERVICES_MAX} services match; ask for fewer with a query`,
	);
}

/** Names the directory knows; never more than it gives at once. */
async function workspacesLike(
	{ workspace }: ServiceQuery,
	{ node }: ManagerContext,
): Promise<readonly string[]> {
	const event = { type: "directory.names", pattern: workspace };
	const names = await node.ask(DIRECTORY_ADDRESS, event, { kind: "query", timeoutMs: ACTOR_ANSWER_MS_MAX });
	return names as readonly string[];
}
