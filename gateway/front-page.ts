/**
 * What a person sees at the root of a node: code that connects to it, and where its other pages are. Owns that page and
 * the code, which the command line prints too; it runs no script and loads nothing.
 */
import { hashed } from "./page-policy.ts";

const STYLE = `
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 46rem; margin: 6vh auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; }
h2 { font-size: 1.1rem; margin-top: 2rem; }
pre { overflow-x: auto; padding: 1rem; border-radius: .5rem; background: color-mix(in srgb, currentColor 8%, transparent); }
nav a { margin-right: 1.5rem; }
`;

export const FRONT_PAGE_HEADERS = {
	"content-security-policy":
		`default-src 'none'; style-src ${hashed(STYLE)}; ` +
		"base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"x-content-type-options": "nosniff",
	"referrer-policy": "no-referrer",
	"cache-control": "no-cache",
} as const;

/** `url`: as clients reach the node, without a slash at its end. */
export function frontPage(url: string): string {
	const at = escaped(url);
	return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Mycelog</title>
<style>${STYLE}</style>
</head>
<body>
<h1>Mycelog</h1>
<p>This node serves Hypha RPC clients at <code>${at}</code>.</p>
<nav><a href="${at}/operator/">Operator's console</a><a href="${at}/login">Log in</a>
<a href="${at}/openapi.json">HTTP routes</a><a href="${at}/health">Health</a><a href="${at}/metrics">Metrics</a></nav>
<h2>Python: <code>pip install hypha-rpc</code></h2>
<pre>${escaped(pythonSnippet(url))}</pre>
<h2>JavaScript: <code>npm install hypha-rpc</code></h2>
<pre>${escaped(javascriptSnippet(url))}</pre>
</body>
</html>
`;
}

export function pythonSnippet(url: string): string {
	return `import asyncio
from hypha_rpc import connect_to_server

async def main():
    server = await connect_to_server({"server_url": "${url}"})
    info = await server.register_service(
        {"id": "hello", "config": {"visibility": "public"}, "greet": lambda name: f"Hello {name}!"}
    )
    service = await server.get_service(info["id"])
    print(info["id"], await service.greet("Python"))
    await server.disconnect()

asyncio.run(main())`;
}

export function javascriptSnippet(url: string): string {
	return `import { connectToServer } from "hypha-rpc";

const server = await connectToServer({ server_url: "${url}" });
const info = await server.registerService({
  id: "hello", config: { visibility: "public" }, greet: (name) => \`Hello \${name}!\`,
});
const service = await server.getService(info.id);
console.log(info.id, await service.greet("JavaScript"));
await server.disconnect();`;
}

function escaped(text: string): string {
	return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;");
}
