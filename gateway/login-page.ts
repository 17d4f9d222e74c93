/**
 * The page on which a person logs in. Owns its text, look and script; it loads nothing from elsewhere, and the policy it
 * comes with lets it do no more than that.
 */
import { hashed } from "./page-policy.ts";

const STYLE = `
body { font: 16px/1.5 system-ui, sans-serif; margin: 0; background: #f4f5f2; color: #1d2b24; }
main { max-width: 24rem; margin: 8vh auto; padding: 2rem; background: #fff; border-radius: .75rem; }
h1 { font-size: 1.4rem; margin-top: 0; }
label { display: block; margin: 1rem 0 .25rem; }
input { box-sizing: border-box; width: 100%; padding: .5rem; font: inherit; border: 1px solid #8a978f; border-radius: .4rem; }
button { margin-top: 1.5rem; width: 100%; padding: .6rem; font: inherit; color: #fff; background: #1f6f4a; border: 0; border-radius: .4rem; cursor: pointer; }
button:disabled { opacity: .5; }
details { margin-top: 1rem; }
[role=status] { min-height: 1.5em; margin: 1rem 0 0; }
`;

const SCRIPT = `
const asked = new URLSearchParams(location.search);
const key = asked.get("key");
const form = document.querySelector("form");
const status = document.querySelector("[role=status]");
const say = (text) => { status.textContent = text; };
if (asked.has("logout")) {
	form.hidden = true;
	document.querySelector("#why").textContent =
		"There is nothing to log out of here: no page keeps your token. A token ends by itself, or when it is revoked.";
} else if (key) {
	const workspace = asked.get("workspace");
	document.querySelector("#why").textContent =
		"A program waits for you to log in, and will act in your name" +
		(workspace ? " in the workspace " + workspace : "") + ". Go on only if you started it.";
}
form.addEventListener("submit", async (event) => {
	event.preventDefault();
	const button = form.querySelector("button");
	button.disabled = true;
	say("");
	const fields = Object.fromEntries(new FormData(form));
	const body = { ...fields, key, workspace: asked.get("workspace"), expires_in: asked.get("expires_in") };
	try {
		const response = await fetch(location.pathname, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify(body),
		});
		const answer = await response.json();
		if (!response.ok) throw new Error(answer.detail);
		form.hidden = true;
		say(key ? "You are logged in. You can close this page." : "Name and password are right. No program waits for you.");
		if (key && parent !== window) parent.postMessage({ type: "hypha-login-complete", key }, "*");
	} catch (error) {
		say(error.message.replace(/^RemoteException: /, ""));
	} finally {
		button.disabled = false;
	}
});
`;

export const LOGIN_PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="referrer" content="no-referrer">
<title>Log in</title>
<style>${STYLE}</style>
</head>
<body>
<main>
<h1>Log in</h1>
<p id="why">Log in with the account that the operator of this server gave you.</p>
<form>
<label for="name">Name</label>
<input id="name" name="name" autocomplete="username" autofocus required>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password" required>
<details>
<summary>Change the password</summary>
<label for="new_password">New password</label>
<input id="new_password" name="new_password" type="password" autocomplete="new-password">
</details>
<button>Log in</button>
</form>
<p role="status"></p>
</main>
<script>${SCRIPT}</script>
</body>
</html>
`;

/** Programs may show the page in a frame of theirs, as the JavaScript client does. */
export const LOGIN_PAGE_HEADERS = {
	"content-security-policy":
		`default-src 'none'; style-src ${hashed(STYLE)}; script-src ${hashed(SCRIPT)}; ` +
		"connect-src 'self'; base-uri 'none'; form-action 'none'",
	"x-content-type-options": "nosniff",
	"referrer-policy": "no-referrer",
	"cache-control": "no-store",
} as const;
