/**
 * The name of one node process: a stable node id and the boot that tells its processes apart.
 * Owns the text form `id~boot`, used as claim, reply address and origin of what the process appends.
 */

export class NodeName {
	readonly id: string;
	readonly boot: string;
	readonly text: string;

	constructor(id: string, boot: string) {
		this.id = id;
		this.boot = boot;
		this.text = `${id}~${boot}`;
	}

	/** `text` names this node, but a process of it that ran before this one. */
	isEarlierProcess(text: string): boolean {
		return text !== this.text && nodeIdOf(text) === this.id;
	}
}

/** The node id in `id~boot`. */
export function nodeIdOf(text: string): string {
	return text.slice(0, text.lastIndexOf("~"));
}
