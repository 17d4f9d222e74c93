/**
 * Who is at the other end, as limits count it. Owns reading `X-Forwarded-For` as far as proxies are trusted, and which
 * addresses are one household: whoever has one IPv6 address has 2^64 of them.
 */

/**
 * `direct`: the socket's own peer. Each trusted proxy has added the address it saw at the end of `forwarded`; what
 * stands before those anybody may have written.
 */
export function remoteAddress(direct: string, forwarded: string | undefined, proxyHops: number): string {
	if (proxyHops === 0 || !forwarded) return network(direct);
	const addresses = forwarded.split(",").map((address) => address.trim());
	return network(addresses.at(-Math.min(proxyHops, addresses.length)) || direct);
}

/** An IPv4 address as it is, an IPv6 one's first 64 bits. */
function network(address: string): string {
	const mapped = /^(?:0*:){2,5}ffff:(.+)$/i.exec(address)?.[1];
	if (mapped) return mapped;
	if (!address.includes(":")) return address;
	const [head = ""] = address.split("::");
	const groups = head.split(":").map((group) => Number.parseInt(group || "0", 16).toString(16));
	return [...groups, "0", "0", "0", "0"].slice(0, 4).join(":");
}
