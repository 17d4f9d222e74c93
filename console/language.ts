/**
 * A language that `Intl` takes, whatever the browser calls its own: in a plain C locale Chromium says `en-US@posix`, and
 * the charts' library would end the page before it begins. Imported before everything else.
 */
try {
	Intl.getCanonicalLocales(navigator.language);
} catch {
	Object.defineProperty(navigator, "language", { value: "en-US" });
}
