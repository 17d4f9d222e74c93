/**
 * The question before something is changed: what will happen, and why the operator wants it, which goes into the audit.
 * Owns asking; what is done is the caller's.
 */
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

/** Characters of a reason. */
const WHY_CHARACTERS_MAX = 500;

export interface ConfirmProps {
	readonly title: string;
	/** On the button: what it does. */
	readonly action: string;
	readonly danger?: boolean;
	readonly children?: ComponentChildren;
	/** Rejections are shown, and the question stays. */
	readonly onConfirm: (why: string) => Promise<unknown>;
	readonly onClose: () => void;
}

export function Confirm({ title, action, danger, children, onConfirm, onClose }: ConfirmProps) {
	const dialog = useRef<HTMLDialogElement>(null);
	const why = useRef<HTMLTextAreaElement>(null);
	const id = useId();
	const [busy, setBusy] = useState(false);
	const [problem, setProblem] = useState("");
	useEffect(() => {
		dialog.current?.showModal();
		why.current?.focus();
	}, []);
	const confirm = async (event: Event) => {
		event.preventDefault();
		const reason = why.current?.value.trim() ?? "";
		if (!reason) {
			setProblem("Say why: it goes into the audit.");
			why.current?.focus();
			return;
		}
		setBusy(true);
		setProblem("");
		try {
			await onConfirm(reason);
			dialog.current?.close();
		} catch (error) {
			setProblem((error as Error).message);
			setBusy(false);
		}
	};
	return (
		<dialog ref={dialog} onClose={onClose} aria-labelledby={`${id}-title`}>
			<form onSubmit={confirm} aria-busy={busy}>
				<h2 id={`${id}-title`}>{title}</h2>
				{children}
				<label for={`${id}-why`}>Why</label>
				<textarea
					id={`${id}-why`}
					ref={why}
					rows={2}
					maxLength={WHY_CHARACTERS_MAX}
					aria-describedby={`${id}-problem`}
				/>
				<p id={`${id}-problem`} class="problem" role="alert">
					{problem}
				</p>
				<div class="row end">
					<button type="button" onClick={() => dialog.current?.close()} disabled={busy}>
						Cancel
					</button>
					<button type="submit" class={danger ? "danger" : "primary"} disabled={busy}>
						{busy ? "Working…" : action}
					</button>
				</div>
			</form>
		</dialog>
	);
}
