/**
 * `mycelog completion`: scripts for bash, zsh and fish, made from the commands and flags themselves. Owns the scripts' form;
 * they are written once and ask nothing while somebody types.
 */
import type { Argument, Command, Option } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

interface Word {
	readonly word: string;
	readonly description: string;
}

/** What may follow a line of commands: `dead-letters list`. */
interface Place {
	/** Names of the commands that lead there, without the program's own. */
	readonly path: readonly string[];
	readonly commands: readonly Word[];
	readonly flags: readonly (Word & { readonly value: Value | undefined })[];
	/** Of the first argument, where it is one of few. */
	readonly choices: readonly string[];
}

/** What a flag takes. */
type Value =
	| { readonly kind: "file" | "directory" | "other" }
	| { readonly kind: "choice"; readonly of: readonly string[] };

export function completionScript(program: Command, shell: Shell): string {
	const places = placesOf(program, []);
	return { bash, zsh, fish }[shell](program.name(), places);
}

function placesOf(command: Command, path: readonly string[]): Place[] {
	const { commands, options } = command;
	const help = { word: "--help", description: "print this help", value: undefined };
	const place: Place = {
		path,
		commands: commands.map((one) => ({ word: one.name(), description: one.description() })),
		flags: [...options.filter(({ hidden }) => !hidden).map(flagOf), help],
		choices: (command.registeredArguments as readonly Argument[])[0]?.argChoices ?? [],
	};
	return [place, ...commands.flatMap((one) => placesOf(one, [...path, one.name()]))];
}

function flagOf(option: Option): Place["flags"][number] {
	return { word: option.long ?? option.flags, description: option.description, value: valueIn(option) };
}

function valueIn({ required, optional, argChoices, flags, long }: Option): Value | undefined {
	if (!required && !optional) return undefined;
	if (argChoices) return { kind: "choice", of: argChoices };
	if (long?.endsWith("-dir")) return { kind: "directory" };
	return { kind: long?.endsWith("-file") || flags.includes("<file>") ? "file" : "other" };
}

/** The key of a place in the scripts. */
function keyOf({ path }: Place): string {
	return path.join(" ");
}

/** Lines `pattern) answer` of a shell's `case`, those with one answer together. */
function valueCases(places: readonly Place[], answerOf: (value: Value) => string): string {
	const patterns = new Map<string, string[]>();
	for (const place of places) {
		for (const { word, value } of place.flags) {
			if (!value) continue;
			const answer = answerOf(value);
			patterns.set(answer, [...(patterns.get(answer) ?? []), `"${keyOf(place)} ${word}"`]);
		}
	}
	return [...patterns].map(([answer, of]) => `\t\t${of.join("|\\\n\t\t")}) ${answer}; return ;;`).join("\n");
}

/** The loop's body that finds out which command the line has come to. */
function placeCases(places: readonly Place[], variable: string): string {
	return paths(places)
		.map((path) => `\t\t"${path}") ${variable}="${path}" ;;`)
		.join("\n");
}

/** As old as 3.2, which some systems still have. */
function bash(name: string, places: readonly Place[]): string {
	const words = places.map((place) => {
		const all = [...place.commands, ...place.flags].map(({ word }) => word).concat(place.choices);
		return `\t\t"${keyOf(place)}") words="${all.join(" ")}" ;;`;
	});
	const values = valueCases(places, (value) => {
		if (value.kind === "choice") return `COMPREPLY=($(compgen -W "${value.of.join(" ")}" -- "$current"))`;
		if (value.kind === "other") return "COMPREPLY=()";
		return `local IFS=$'\\n'; COMPREPLY=($(compgen ${value.kind === "file" ? "-f" : "-d"} -- "$current"))`;
	});
	return `# bash completion of ${name}: source it, or put it where bash-completion looks.
_${name}() {
	local current="\${COMP_WORDS[COMP_CWORD]}" previous="\${COMP_WORDS[COMP_CWORD-1]}" place="" word words=""
	for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
		case "$place\${place:+ }$word" in
${placeCases(places, "place")}
		esac
	done
	case "$place $previous" in
${values}
	esac
	case "$place" in
${words.join("\n")}
	esac
	COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o filenames -F _${name} ${name}
`;
}

function zsh(name: string, places: readonly Place[]): string {
	const entries = places.map((place) => {
		const choices = place.choices.map((word) => ({ word, description: word }));
		const lines = [...place.commands, ...place.flags, ...choices].map(
			({ word, description }) => `\t\t\t${quoted(`${word.replaceAll(":", "\\:")}:${description}`)}`,
		);
		return `\t\t"${keyOf(place)}") entries=(\n${lines.join("\n")}\n\t\t) ;;`;
	});
	const values = valueCases(places, (value) => {
		if (value.kind === "choice") return `compadd -- ${value.of.join(" ")}`;
		return { file: "_files", directory: "_files -/", other: ":" }[value.kind];
	});
	return `#compdef ${name}
# zsh completion of ${name}: put it as _${name} into a directory of $fpath, or source it after compinit.
_${name}() {
	local place="" word
	local -a entries
	for word in "\${(@)words[2,CURRENT-1]}"; do
		case "$place\${place:+ }$word" in
${placeCases(places, "place")}
		esac
	done
	case "$place \${words[CURRENT-1]}" in
${values}
	esac
	case "$place" in
${entries.join("\n")}
	esac
	_describe ${quoted(name)} entries
}
if [ "$funcstack[1]" = "_${name}" ]; then _${name} "$@"; else compdef _${name} ${name}; fi
`;
}

function fish(name: string, places: readonly Place[]): string {
	const lines = places.flatMap((place) => {
		const here = `complete -c ${name} -n ${quoted(`test "$(__${name}_place)" = "${keyOf(place)}"`)}`;
		return [
			...place.commands.map(({ word, description }) => `${here} -a ${word} -d ${quoted(description)}`),
			...place.choices.map((word) => `${here} -a ${word}`),
			...place.flags.map(({ word, description, value }) => {
				return `${here} -l ${word.replace(/^--/, "")}${fishValue(value)} -d ${quoted(description)}`;
			}),
		];
	});
	return `# fish completion of ${name}: put it as ${name}.fish into ~/.config/fish/completions.
function __${name}_place
	set -l place
	for word in (commandline -opc)[2..-1]
		switch (string trim -- "$place $word")
${paths(places)
	.map((path) => `\t\t\tcase ${quoted(path)}\n\t\t\t\tset place ${quoted(path)}`)
	.join("\n")}
		end
	end
	echo "$place"
end
complete -c ${name} -f
${lines.join("\n")}
`;
}

function fishValue(value: Value | undefined): string {
	if (!value) return "";
	if (value.kind === "choice") return ` -x -a ${quoted(value.of.join(" "))}`;
	return { file: " -r -F", directory: " -x -a '(__fish_complete_directories)'", other: " -x" }[value.kind];
}

function paths(places: readonly Place[]): string[] {
	return places.map(keyOf).filter((path) => path !== "");
}

/** For all three shells: no quote ends it early. */
function quoted(text: string): string {
	return `'${text.replaceAll("'", "’")}'`;
}
