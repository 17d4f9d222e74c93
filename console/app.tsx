/** The console as a whole: login or pages, head and navigation. Owns who is logged in and which page is shown. */
import { useCallback, useEffect, useMemo, useRef, useState } from "preact/hooks";
import { Api } from "./api.ts";
import { prepareLayout } from "./chart/layout.ts";
import { Login } from "./pages/login.tsx";
import { PAGES, titleOf } from "./pages/pages.tsx";
import { hrefOf, useRoute } from "./routes.ts";
import { keepToken, keptToken } from "./session.ts";
import { THEMES, type Theme, useTheme } from "./theme.ts";

const THEME_WORDS: Readonly<Record<Theme, string>> = { system: "Auto", light: "Light", dark: "Dark" };

export function App() {
	const [token, setToken] = useState(keptToken);
	const [ended, setEnded] = useState(false);
	const [theme, setTheme] = useTheme();
	const leave = useCallback((wasRefused: boolean) => {
		keepToken(undefined);
		setToken(undefined);
		setEnded(wasRefused);
	}, []);
	const api = useMemo(() => token && new Api(token, () => leave(true)), [token, leave]);
	if (!api) {
		return (
			<Login
				ended={ended}
				onToken={(given) => {
					keepToken(given);
					setToken(given);
				}}
			/>
		);
	}
	return <Console api={api} theme={theme} onTheme={setTheme} onLeave={() => leave(false)} />;
}

interface ConsoleProps {
	readonly api: Api;
	readonly theme: Theme;
	readonly onTheme: (theme: Theme) => void;
	readonly onLeave: () => void;
}

function Console({ api, theme, onTheme, onLeave }: ConsoleProps) {
	const route = useRoute();
	const main = useRef<HTMLElement>(null);
	const page = PAGES.find(({ names }) => names.includes(route.name));
	const title = titleOf(route);
	const place = `${route.name}/${route.rest}`;
	const last = useRef(place);
	useEffect(() => {
		prepareLayout();
	}, []);
	useEffect(() => {
		document.title = `${title} · Mycelog`;
		// Who reads by ear or keyboard is taken to the new page, as by a link to another document.
		if (last.current !== place) main.current?.focus();
		last.current = place;
	}, [title, place]);
	return (
		<>
			<button type="button" class="skip" onClick={() => main.current?.focus()}>
				Skip to the page
			</button>
			<header class="head">
				<a class="brand" href={hrefOf("overview")}>
					<Mark />
					Mycelog
				</a>
				<nav aria-label="Pages">
					<ul>
						{PAGES.map(({ names: [name = ""], label }) => (
							<li key={name}>
								<a href={hrefOf(name)} aria-current={page?.names[0] === name ? "page" : undefined}>
									{label}
								</a>
							</li>
						))}
					</ul>
				</nav>
				<div class="head-end">
					<label class="theme">
						<span class="visually-hidden">Colours</span>
						<select value={theme} onChange={(event) => onTheme(event.currentTarget.value as Theme)}>
							{THEMES.map((one) => (
								<option key={one} value={one}>
									{THEME_WORDS[one]}
								</option>
							))}
						</select>
					</label>
					<button type="button" class="quiet" onClick={onLeave}>
						Log out
					</button>
				</div>
			</header>
			<main id="main" tabIndex={-1} ref={main}>
				{page ? (
					<page.Page key={place} api={api} route={route} />
				) : (
					<p class="state">There is no page of this name.</p>
				)}
			</main>
		</>
	);
}

function Mark() {
	return (
		<svg viewBox="0 0 32 32" width="22" height="22" aria-hidden="true" class="mark">
			<path d="M9 23V13a4 4 0 0 1 4-4M9 23a7 7 0 0 0 7-7V11m0 5a7 7 0 0 0 7 7" />
			<circle cx="9" cy="23" r="3" />
			<circle cx="15" cy="9" r="3" />
			<circle cx="23" cy="23" r="3" />
		</svg>
	);
}
