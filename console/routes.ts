/** Which page is shown: the part of the address behind the `#`, which is sent to nobody. Owns its form. */
import { useEffect, useState } from "preact/hooks";

export interface Route {
	readonly name: string;
	/** The rest of the path, for example an actor's address. */
	readonly rest: string;
	readonly query: Readonly<Record<string, string>>;
}

export function routeOf(hash: string): Route {
	const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?");
	const [name = "", ...rest] = path.split("/");
	return {
		name: name || "overview",
		rest: rest.map(decodeURIComponent).join("/"),
		query: Object.fromEntries(new URLSearchParams(query)),
	};
}

export function hrefOf(name: string, rest = "", query: Readonly<Record<string, unknown>> = {}): string {
	const asked = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
	const parameters = new URLSearchParams(asked.map(([key, value]) => [key, String(value)]));
	const path = rest ? `${name}/${rest.split("/").map(encodeURIComponent).join("/")}` : name;
	return `#/${path}${parameters.size > 0 ? `?${parameters}` : ""}`;
}

export function useRoute(): Route {
	const [hash, setHash] = useState(location.hash);
	useEffect(() => {
		const changed = () => setHash(location.hash);
		addEventListener("hashchange", changed);
		return () => removeEventListener("hashchange", changed);
	}, []);
	return routeOf(hash);
}

/** `replace`: no step for the browser's way back. */
export function go(href: string, replace = false): void {
	if (location.hash === href) return;
	if (!replace) {
		location.hash = href;
		return;
	}
	history.replaceState(null, "", href);
	dispatchEvent(new HashChangeEvent("hashchange"));
}
