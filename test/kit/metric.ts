/** One number of a node's metrics page, as a scrape sees it. */

/** 0 where the node has not counted yet. `labels`: those the line must have, in the page's order. */
export async function metric(
	url: string,
	name: string,
	labels: Readonly<Record<string, string>> = {},
): Promise<number> {
	const page = await (await fetch(`${url}/metrics`)).text();
	const words = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
	const start = words.length > 0 ? `${name}{${words.join(",")}} ` : `${name} `;
	const line = page.split("\n").find((text) => text.startsWith(start));
	return line === undefined ? 0 : Number(line.slice(start.length));
}
