/**
 * A plain value as a tree, as large as the log allows: closed parts cost nothing until they are opened. Owns what is
 * open at first, and marking what is not as it was before.
 */
import { useState } from "preact/hooks";

/** Entries of one object or list that are drawn before somebody asks for more. */
const ENTRIES_SHOWN = 50;
/** Characters of a text that are drawn before somebody asks for more. */
const CHARACTERS_SHOWN = 400;
/** Levels that are open at first, and the entries past which a level is not. */
const LEVELS_OPEN = 2;
const ENTRIES_OPEN_MAX = 20;

interface JsonProps {
	readonly value: unknown;
	/** What it was; left out: nothing is marked. */
	readonly before?: { readonly value: unknown } | undefined;
}

export function Json({ value, before }: JsonProps) {
	return (
		<div class="json">
			<Value value={value} before={before} level={0} />
		</div>
	);
}

function Value({ value, before, level }: JsonProps & { readonly level: number }) {
	if (typeof value !== "object" || value === null) return <Leaf value={value} before={before} />;
	return <Branch value={value} before={before} level={level} />;
}

function Branch({ value, before, level }: JsonProps & { readonly value: object; readonly level: number }) {
	const isList = Array.isArray(value);
	const entries = Object.entries(value);
	const [open, setOpen] = useState(
		level < LEVELS_OPEN && (level === 0 || entries.length <= ENTRIES_OPEN_MAX),
	);
	const [shown, setShown] = useState(ENTRIES_SHOWN);
	const changed = before && !equal(value, before.value);
	const size = isList ? `[${entries.length}]` : `{${entries.length}}`;
	if (entries.length === 0) return <span class={changed ? "changed" : ""}>{isList ? "[]" : "{}"}</span>;
	const old = before?.value as Record<string, unknown> | undefined | null;
	return (
		<>
			{level > 0 && (
				<button type="button" class="fold" aria-expanded={open} onClick={() => setOpen(!open)}>
					<span class={changed && !open ? "changed" : ""}>{size}</span>
				</button>
			)}
			{open && (
				<ul>
					{entries.slice(0, shown).map(([key, inner]) => (
						<li key={key}>
							<span class="key">{key}</span>
							<Value
								value={inner}
								before={before && { value: typeof old === "object" ? old?.[key] : undefined }}
								level={level + 1}
							/>
						</li>
					))}
					{entries.length > shown && (
						<li>
							<button type="button" class="more" onClick={() => setShown(shown * 10)}>
								{entries.length - shown} more
							</button>
						</li>
					)}
				</ul>
			)}
		</>
	);
}

function Leaf({ value, before }: JsonProps) {
	const [all, setAll] = useState(false);
	const text = value === undefined ? "—" : JSON.stringify(value);
	const kind = value === null ? "null" : typeof value;
	const changed = before && !Object.is(value, before.value);
	const cut = !all && text.length > CHARACTERS_SHOWN;
	return (
		<>
			<span class={`${kind} ${changed ? "changed" : ""}`}>
				{cut ? `${text.slice(0, CHARACTERS_SHOWN)}…` : text}
			</span>
			{changed && before.value !== undefined && typeof before.value !== "object" && (
				<span class="was">
					<span class="visually-hidden"> was </span>
					{JSON.stringify(before.value).slice(0, CHARACTERS_SHOWN)}
				</span>
			)}
			{cut && (
				<button type="button" class="more" onClick={() => setAll(true)}>
					{text.length - CHARACTERS_SHOWN} more characters
				</button>
			)}
		</>
	);
}

function equal(left: unknown, right: unknown): boolean {
	return Object.is(left, right) || JSON.stringify(left) === JSON.stringify(right);
}
