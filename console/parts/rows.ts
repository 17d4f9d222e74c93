/** Arrow keys in a list of rows, of which one is in the tab order. Owns moving the focus. */

const STEPS: Readonly<Record<string, number>> = {
	ArrowDown: 1,
	ArrowUp: -1,
	PageDown: 10,
	PageUp: -10,
	Home: Number.NEGATIVE_INFINITY,
	End: Number.POSITIVE_INFINITY,
};

/** Put on what holds the rows; rows are what `selector` finds in it. */
export function moveByArrows(event: KeyboardEvent, selector: string): void {
	const step = STEPS[event.key];
	if (step === undefined || event.altKey || event.ctrlKey || event.metaKey) return;
	const rows = [...(event.currentTarget as HTMLElement).querySelectorAll<HTMLElement>(selector)];
	const at = rows.indexOf(document.activeElement as HTMLElement);
	if (at < 0) return;
	event.preventDefault();
	rows[Math.min(Math.max(at + step, 0), rows.length - 1)]?.focus();
}
