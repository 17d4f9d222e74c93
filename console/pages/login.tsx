/** Where the operator shows the token. Owns asking the node whether it is good, and nothing else before it is. */
import { useRef, useState } from "preact/hooks";
import { Api, type ApiError } from "../api.ts";

export interface LoginProps {
	/** A token was kept, and is not good any more. */
	readonly ended: boolean;
	readonly onToken: (token: string) => void;
}

export function Login({ ended, onToken }: LoginProps) {
	const [busy, setBusy] = useState(false);
	const [problem, setProblem] = useState(ended ? "The node does not take the token any more." : "");
	const field = useRef<HTMLInputElement>(null);
	const enter = async (event: Event) => {
		event.preventDefault();
		const token = field.current?.value.trim() ?? "";
		if (!token) return;
		setBusy(true);
		setProblem("");
		try {
			await new Api(token, () => {}).get("overview");
			onToken(token);
		} catch (error) {
			const { status, message } = error as ApiError;
			setProblem(status === 401 || status === 403 ? `The node refuses this token: ${message}` : message);
			setBusy(false);
			field.current?.select();
		}
	};
	return (
		<main class="login">
			<form onSubmit={enter} aria-busy={busy}>
				<h1>Mycelog console</h1>
				<p>
					For the operator of <code>{location.host}</code>. The token stays in this tab and is forgotten when
					it closes.
				</p>
				<label for="token">Operator token</label>
				<input
					id="token"
					ref={field}
					type="password"
					autocomplete="off"
					spellcheck={false}
					required
					autofocus
					aria-describedby="problem"
				/>
				<button type="submit" class="primary" disabled={busy}>
					{busy ? "Asking the node…" : "Log in"}
				</button>
				<p id="problem" role="alert" class="problem">
					{problem}
				</p>
			</form>
		</main>
	);
}
