/** Workspaces, and of one its clients and services. Owns the three lists; what they tell is the manager's. */
import { useState } from "preact/hooks";
import { useLoad } from "../load.ts";
import { Filters } from "../parts/filters.tsx";
import { moveByArrows } from "../parts/rows.ts";
import { Badge, Empty, LoadedView } from "../parts/states.tsx";
import { hrefOf } from "../routes.ts";
import { number, plural } from "../words.ts";
import type { PageProps } from "./pages.tsx";

const PAGE_WORKSPACES = 100;

interface Workspace {
	readonly id: string;
	readonly name?: string;
	readonly description?: string;
	readonly owned_by?: string;
	readonly owners?: readonly string[];
	readonly persistent?: boolean;
}

interface Client {
	/** With its workspace before it. */
	readonly id: string;
	readonly user?: { readonly id?: string; readonly email?: string; readonly is_anonymous?: boolean };
}

interface Service {
	readonly id: string;
	readonly name?: string;
	readonly type?: string;
	readonly description?: string;
	readonly config?: { readonly visibility?: string };
}

export function WorkspacesPage(props: PageProps) {
	return props.route.rest ? <WorkspacePage {...props} /> : <WorkspaceList {...props} />;
}

function WorkspaceList({ api, route }: PageProps) {
	const offset = Number(route.query["offset"] ?? 0);
	const asked = { offset: offset || undefined, limit: PAGE_WORKSPACES };
	const page = useLoad(`workspaces ${offset}`, (signal) =>
		api.get<{ workspaces: readonly Workspace[] }>("workspaces", asked, signal),
	);
	const [search, setSearch] = useState("");
	return (
		<>
			<h1>Workspaces</h1>
			<LoadedView of={page} what="the workspaces">
				{({ workspaces }) => {
					const found = workspaces.filter(({ id, name, description }) =>
						`${id} ${name} ${description}`.toLowerCase().includes(search.toLowerCase()),
					);
					return (
						<>
							<Filters>
								<label>
									Search on this page
									<input
										type="search"
										value={search}
										onInput={(event) => setSearch(event.currentTarget.value)}
									/>
								</label>
							</Filters>
							<p class="soft" role="status">
								{plural(found.length, "workspace")}
							</p>
							{found.length === 0 ? (
								<Empty>{search ? "No workspace is like this." : "There are no workspaces yet."}</Empty>
							) : (
								<WorkspaceTable workspaces={found} />
							)}
							<nav class="row" aria-label="Pages of the list">
								{offset > 0 && <a href={hrefOf("workspaces")}>First page</a>}
								{workspaces.length === PAGE_WORKSPACES && (
									<a href={hrefOf("workspaces", "", { offset: offset + PAGE_WORKSPACES })}>Next page</a>
								)}
							</nav>
						</>
					);
				}}
			</LoadedView>
		</>
	);
}

function WorkspaceTable({ workspaces }: { readonly workspaces: readonly Workspace[] }) {
	return (
		<div class="table-wrap">
			<table onKeyDown={(event) => moveByArrows(event, "a.row-link")}>
				<thead>
					<tr>
						<th scope="col">Workspace</th>
						<th scope="col">Description</th>
						<th scope="col">Owned by</th>
						<th scope="col">Kept</th>
					</tr>
				</thead>
				<tbody>
					{workspaces.map(({ id, name, description, owned_by, owners, persistent }) => (
						<tr key={id}>
							<th scope="row" class="breaks">
								<a class="row-link mono" href={hrefOf("workspaces", id)}>
									{id}
								</a>
								{name && name !== id && <div class="soft">{name}</div>}
							</th>
							<td class="breaks">{description}</td>
							<td class="mono breaks">{owned_by ?? owners?.join(", ")}</td>
							<td>{persistent ? <Badge tone="accent">persistent</Badge> : <Badge>while used</Badge>}</td>
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}

function WorkspacePage({ api, route }: PageProps) {
	const workspace = route.rest;
	const clients = useLoad(`clients of ${workspace}`, (signal) =>
		api.get<{ clients: readonly Client[] }>("clients", { workspace }, signal),
	);
	const services = useLoad(`services of ${workspace}`, (signal) =>
		api.get<{ services: readonly Service[] }>("services", { workspace }, signal),
	);
	return (
		<>
			<p class="crumbs">
				<a href={hrefOf("workspaces")}>Workspaces</a>
			</p>
			<h1 class="mono address">{workspace}</h1>
			<p>
				<a href={hrefOf("actor", `workspace/${workspace}`)}>Its actor, with all that happened in it</a>
			</p>
			<section aria-labelledby="clients">
				<h2 id="clients">Clients</h2>
				<LoadedView of={clients} what="its clients">
					{({ clients: found }) =>
						found.length === 0 ? <Empty>No client is connected.</Empty> : <Clients clients={found} />
					}
				</LoadedView>
			</section>
			<section aria-labelledby="services">
				<h2 id="services">Services</h2>
				<LoadedView of={services} what="its services">
					{({ services: found }) =>
						found.length === 0 ? <Empty>No service is registered.</Empty> : <Services services={found} />
					}
				</LoadedView>
			</section>
		</>
	);
}

function Clients({ clients }: { readonly clients: readonly Client[] }) {
	return (
		<div class="table-wrap">
			<table>
				<thead>
					<tr>
						<th scope="col">Client ({number(clients.length)})</th>
						<th scope="col">User</th>
					</tr>
				</thead>
				<tbody>
					{clients.map(({ id, user }) => (
						<tr key={id}>
							<th scope="row" class="breaks">
								<a class="mono" href={hrefOf("actor", `client/${id}`)}>
									{id}
								</a>
							</th>
							<td class="breaks">
								{user?.email ?? user?.id} {user?.is_anonymous && <Badge>anonymous</Badge>}
							</td>
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}

function Services({ services }: { readonly services: readonly Service[] }) {
	return (
		<div class="table-wrap">
			<table>
				<thead>
					<tr>
						<th scope="col">Service ({number(services.length)})</th>
						<th scope="col">Type</th>
						<th scope="col">Seen by</th>
					</tr>
				</thead>
				<tbody>
					{services.map(({ id, name, type, description, config }) => (
						<tr key={id}>
							<th scope="row" class="breaks">
								<span class="mono">{id}</span>
								<div class="soft">{description ?? name}</div>
							</th>
							<td>{type}</td>
							<td>
								<Badge>{config?.visibility ?? "protected"}</Badge>
							</td>
						</tr>
					))}
				</tbody>
			</table>
		</div>
	);
}
