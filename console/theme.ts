/** Dark or light: as the system says, until the operator says otherwise. Owns that choice; colours are style/. */
import { useEffect, useState } from "preact/hooks";

export const THEMES = ["system", "light", "dark"] as const;
export type Theme = (typeof THEMES)[number];

const KEY = "mycelog.theme";

export function useTheme(): [Theme, (theme: Theme) => void] {
	const [theme, setTheme] = useState(() => {
		const kept = localStorage.getItem(KEY) as Theme;
		return THEMES.includes(kept) ? kept : "system";
	});
	useEffect(() => {
		const { dataset } = document.documentElement;
		if (theme === "system") delete dataset["theme"];
		else dataset["theme"] = theme;
		localStorage.setItem(KEY, theme);
		// Drawings on a canvas take their colours when they are made.
		dispatchEvent(new Event("themechange"));
	}, [theme]);
	return [theme, setTheme];
}

export function onThemeChange(heard: () => void): () => void {
	const system = matchMedia("(prefers-color-scheme: dark)");
	system.addEventListener("change", heard);
	addEventListener("themechange", heard);
	return () => {
		system.removeEventListener("change", heard);
		removeEventListener("themechange", heard);
	};
}
