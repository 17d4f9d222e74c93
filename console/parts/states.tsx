/** What a page shows while, instead of or beside its data: waiting, nothing there, failed. Owns those words' place. */
import type { ComponentChildren } from "preact";
import type { Loaded } from "../load.ts";

interface LoadedViewProps<T> {
	readonly of: Loaded<T>;
	/** Of what waits: "the actors". */
	readonly what: string;
	readonly children: (value: T) => ComponentChildren;
}

/** An old answer stays in sight when a new one cannot be had, with the reason above it. */
export function LoadedView<T>({ of, what, children }: LoadedViewProps<T>) {
	const { value, error, again, reload } = of;
	return (
		<>
			{error && <Failed error={error} what={what} again={again} onRetry={reload} />}
			{value === undefined ? !error && <Waiting what={what} /> : children(value)}
		</>
	);
}

export function Waiting({ what }: { readonly what: string }) {
	return (
		<p class="state waiting" role="status">
			Asking for {what}…
		</p>
	);
}

export function Empty({ children }: { readonly children: ComponentChildren }) {
	return <p class="state">{children}</p>;
}

interface FailedProps {
	readonly error: Error;
	readonly what: string;
	readonly again?: boolean;
	readonly onRetry?: () => void;
}

export function Failed({ error, what, again, onRetry }: FailedProps) {
	return (
		<div class="failed" role="alert">
			<p>
				<strong>Could not get {what}.</strong> {error.message}
				{again && ". The page asks again by itself."}
			</p>
			{onRetry && (
				<button type="button" onClick={onRetry}>
					Try again
				</button>
			)}
		</div>
	);
}

export type Tone = "good" | "bad" | "warn" | "plain" | "accent";

export function Badge({
	tone = "plain",
	children,
}: {
	readonly tone?: Tone;
	readonly children: ComponentChildren;
}) {
	return <span class={`badge ${tone}`}>{children}</span>;
}
