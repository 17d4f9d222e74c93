/** What narrows a list while it is typed. Owns the pause before the list is asked for; what is asked is in the page's address. */
import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";
import { go, hrefOf } from "../routes.ts";

/** Milliseconds after the last key before the list is asked for. */
const TYPING_MS = 250;

/** By name; blanks around what is typed are not asked for, and stay in its field: a word may follow. */
export type Typed = Readonly<Record<string, string>>;

export function useFilters(page: string, asked: Typed): [typed: Typed, change: (part: Typed) => void] {
	const [typed, setTyped] = useState(asked);
	const [timer] = useState<{ id?: ReturnType<typeof setTimeout> }>({});
	const change = (part: Typed) => {
		const next = { ...typed, ...part };
		setTyped(next);
		clearTimeout(timer.id);
		timer.id = setTimeout(() => go(hrefOf(page, "", trimmed(next)), true), TYPING_MS);
	};
	return [typed, change];
}

export function trimmed(typed: Typed): Typed {
	return Object.fromEntries(Object.entries(typed).map(([name, text]) => [name, text.trim()]));
}

/** Around the fields; there is nothing to send, the list follows what is typed. */
export function Filters({ children }: { readonly children: ComponentChildren }) {
	return (
		<search>
			<form class="filters" onSubmit={(event) => event.preventDefault()}>
				{children}
			</form>
		</search>
	);
}

interface FilterFieldProps {
	readonly label: string;
	readonly value: string | undefined;
	/** What it takes, shown while it is empty. */
	readonly hint: string;
	readonly onValue: (text: string) => void;
	/** Characters that are in sight. */
	readonly size?: number;
}

export function FilterField({ label, value = "", hint, onValue, size = 20 }: FilterFieldProps) {
	return (
		<label>
			{label}
			<input
				type="search"
				value={value}
				placeholder={hint}
				size={size}
				onInput={(event) => onValue(event.currentTarget.value)}
			/>
		</label>
	);
}
