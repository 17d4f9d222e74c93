/**
 * A "no" with words for the one who asked, thrown by pure rules and turned into a reply by their actor.
 * Owns the type; the text starts with the name of a Python exception, by which Hypha's users tell errors apart.
 */

export class Refusal extends Error {
	override readonly name = "Refusal";
}
