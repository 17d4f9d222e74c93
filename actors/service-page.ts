/**
 * Lists of services in pages: each fits into a record of any log, and takes its actor a moment only.
 * Owns order and size of pages; who may see what is workspace-queries.ts.
 */
import { matches } from "./glob.ts";
import { isMatch, type ServiceMatch } from "./service-query.ts";
import type { ServiceRecord } from "./workspace-service-record.ts";
import { get, type Table } from "./workspace-table.ts";

/** Characters of one page's records as JSON; a single record that is larger is a page of its own. */
export const PAGE_CHARACTERS_MAX = 200_000;

/** The first service that does not belong to an earlier page, whether it is still there or not. */
export interface PageStart {
	readonly client: string;
	readonly service: string;
}

export interface ServicePage {
	readonly services: readonly ServiceRecord[];
	/** Absent: that was all. */
	readonly next?: PageStart;
}

export function pageOf(
	services: Table<Table<ServiceRecord>>,
	match: ServiceMatch,
	from: PageStart | undefined,
	isShown: (record: ServiceRecord) => boolean,
	shown: (record: ServiceRecord) => ServiceRecord,
): ServicePage {
	const page: ServiceRecord[] = [];
	let characters = 0;
	for (const client of namesLike(services, match.client_id).sort()) {
		if (from && client < from.client) continue;
		const ofClient = get(services, client) ?? {};
		for (const service of namesLike(ofClient, match.service_id).sort()) {
			if (from && client === from.client && service < from.service) continue;
			const record = get(ofClient, service);
			if (!record || !isMatch({ match }, client, service, record) || !isShown(record)) continue;
			characters += charactersOf(record);
			if (page.length > 0 && characters > PAGE_CHARACTERS_MAX)
				return { services: page, next: { client, service } };
			page.push(shown(record));
		}
	}
	return { services: page };
}

/** Keys that match, without a look at all of them where the pattern is a plain name. */
export function namesLike(table: Table<unknown>, pattern: string | undefined): string[] {
	if (pattern === undefined) return Object.keys(table);
	if (!pattern.includes("*")) return get(table, pattern) === undefined ? [] : [pattern];
	return Object.keys(table).filter((name) => matches(pattern, name));
}

/** Records never change: a new registration is a new one. */
const measured = new WeakMap<ServiceRecord, number>();

function charactersOf(record: ServiceRecord): number {
	const known = measured.get(record);
	if (known !== undefined) return known;
	const characters = JSON.stringify(record).length;
	measured.set(record, characters);
	return characters;
}
