/** Addresses of which a snapshot is stored, page by page. Owns the way through them; which are meant is the reader's. */
import type { SnapshotStore } from "../persistence/snapshots.ts";
import type { Address } from "./address.ts";

/** Addresses a page. */
const PAGE_ADDRESSES = 1_000;

/** Ascending, behind `after`; no page is empty. */
export function* storedPages(
	snapshots: Pick<SnapshotStore, "addresses">,
	{ prefix = "", after = "" }: { readonly prefix?: string; readonly after?: Address } = {},
): Generator<readonly Address[]> {
	for (let last = after; ; ) {
		const page = snapshots.addresses({ prefix, after: last, limit: PAGE_ADDRESSES });
		if (page.length > 0) yield page;
		if (page.length < PAGE_ADDRESSES) return;
		last = page.at(-1) as Address;
	}
}

/** One by one. */
export function* storedAddresses(
	snapshots: Pick<SnapshotStore, "addresses">,
	range: { readonly prefix?: string; readonly after?: Address } = {},
): Generator<Address> {
	for (const page of storedPages(snapshots, range)) yield* page;
}
