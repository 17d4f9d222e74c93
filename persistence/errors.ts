/**
 * The one error catalogue: every failure that leaves a module carries a code from here.
 * Owns codes, their meaning and what to do; ends where an outcome is data (see each module's result types).
 */

interface CatalogueEntry {
	/** What happened, for a person. */
	readonly meaning: string;
	/** Whether the same call may succeed later without a change by the caller. */
	readonly retryable: boolean;
	/** What the reader can do about it. */
	readonly fix: string;
}

export const ERROR_CATALOGUE = {
	"config.unknown-option": {
		meaning: "An option is not known.",
		retryable: false,
		fix: "Check the spelling in the named place: `mycelog start --help` has the options of a node, the types those of calls.",
	},
	"config.contradiction": {
		meaning: "Two options exclude each other.",
		retryable: false,
		fix: "Remove one of the two named options.",
	},
	"config.invalid-value": {
		meaning: "An option has a value it cannot take.",
		retryable: false,
		fix: "Use one of the allowed values named in the message.",
	},
	"config.native-module-missing": {
		meaning: "A native module could not be loaded on this platform.",
		retryable: false,
		fix: "Install the package named in the message for this Node version and platform.",
	},
	"import.source-unreachable": {
		meaning: "The store to import from did not answer, or refused the login.",
		retryable: true,
		fix: "Check the named address, user and password, and that this machine may reach it; nothing was written.",
	},
	"log.unreachable": {
		meaning: "The log's broker did not answer within the deadline.",
		retryable: true,
		fix: "Check that the named addresses are right and the broker is up; the node resumes alone.",
	},
	"log.access-refused": {
		meaning: "Kafka refused the login, the certificate or an operation.",
		retryable: false,
		fix: "Check --kafka-sasl-* and --kafka-tls-*, and the permissions listed in docs/operating/kafka.md.",
	},
	"log.unavailable": {
		meaning:
			"The log has not answered for some time; this message or question was refused at once, nothing was written.",
		retryable: true,
		fix: "Check the brokers at the named addresses; send again after the time named. The node resumes alone.",
	},
	"log.file-unusable": {
		meaning: "A database file of the data directory is missing, damaged or cannot be opened.",
		retryable: false,
		fix: "Check the named path, its permissions and the disk. Restore log.db from a backup; snapshots.db may be deleted, it is made again from the log.",
	},
	"log.record-too-large": {
		meaning: "A record is larger than the log accepts.",
		retryable: false,
		fix: "Send a smaller message or chunk it; the limit is named in the message.",
	},
	"log.append-failed": {
		meaning: "The log did not acknowledge a record. It may or may not have been written.",
		retryable: true,
		fix: "Send again with the same id: a duplicate has one effect.",
	},
	"log.overloaded": {
		meaning: "Too many records wait for the log; this one was refused, nothing was written.",
		retryable: true,
		fix: "Slow down and send again; watch mycelog_append_queue_records.",
	},
	"log.topic-mismatch": {
		meaning: "A topic exists with other settings than this node requires.",
		retryable: false,
		fix: "Start with the settings found, or choose another --prefix.",
	},
	"log.offset-trimmed": {
		meaning: "The offset asked for is no longer in the log (retention) or never was.",
		retryable: false,
		fix: "Read from the start offset named in the message.",
	},
	"log.records-lost": {
		meaning:
			"The log has dropped records (retention, or by hand) that this partition's states do not contain.",
		retryable: false,
		fix: "Bring the snapshots of another node or a backup, or start with --accept-lost-records to go on without them.",
	},
	"log.group-refused": {
		meaning: "Kafka does not let this node into its group.",
		retryable: false,
		fix: "Allow the group named in the message (ACL), or choose another --prefix if other software uses a group of that name.",
	},
	"log.fenced": {
		meaning: "Another process took a partition over from this one.",
		retryable: true,
		fix: "None needed: the partition is served by whoever the group says owns it.",
	},
	"log.closed": {
		meaning: "The log has been closed.",
		retryable: false,
		fix: "Start the node again.",
	},
	"log.in-use": {
		meaning: "Another process holds this data directory.",
		retryable: false,
		fix: "Stop the other process or choose another --data-dir.",
	},
	"snapshot.corrupt": {
		meaning: "A stored snapshot does not match its checksum.",
		retryable: false,
		fix: "None needed: it is rebuilt from the log. `mycelog verify ADDRESS` shows the actor.",
	},
	"snapshot.not-written": {
		meaning: "Snapshots could not be stored; the ones before are whole.",
		retryable: true,
		fix: "Check the space and permissions of the data directory. Nothing is lost: the log has it all.",
	},
	"backup.target-not-empty": {
		meaning: "A backup or a restore would write into a directory that holds files.",
		retryable: false,
		fix: "Name an empty directory, or one that does not exist. Nothing was written.",
	},
	"backup.not-written": {
		meaning: "A backup could not be made, or a restore could not be put in place.",
		retryable: true,
		fix: "Check the space, the paths and the permissions named in the message; remove what is left of an unfinished backup and run the command again.",
	},
	"backup.incomplete": {
		meaning: "A backup lacks its manifest or a file: it was not finished, or something was removed.",
		retryable: false,
		fix: "Use another backup. Nothing was put in place.",
	},
	"backup.damaged": {
		meaning: "A file of a backup does not match its checksum, or SQLite finds it damaged.",
		retryable: false,
		fix: "Copy the backup again from where it is kept, or use another one. Nothing was put in place.",
	},
	"recovery.invalid-edit": {
		meaning: "An edit of a history cannot be made: no such message, or no event that an actor may get.",
		retryable: false,
		fix: "Take offsets from `mycelog history ADDRESS`; the message names what is wrong.",
	},
	"recovery.actor-moved": {
		meaning: "The actor had messages since its history was looked at; nothing was changed.",
		retryable: false,
		fix: "Look at the difference again with a new fork, or promote with --accept-newer to keep what came since.",
	},
	"recovery.invalid-file": {
		meaning:
			"A file of a history or of a fork is damaged, cut off or of another format; nothing was written.",
		retryable: false,
		fix: "Make the file again with `mycelog export` or `mycelog fork`; the message names the line.",
	},
	"recovery.incompatible-machine": {
		meaning:
			"The machines here make another state of a history than those where it was exported; nothing was written.",
		retryable: false,
		fix: "Compare the versions of both sides; import with --accept-different to have the state that these machines make.",
	},
	"recovery.not-answered": {
		meaning: "An owner has not done in time what was asked of it; it is in the log, and will be done.",
		retryable: true,
		fix: "See `mycelog audit` for what is still asked; check that nodes are up with `mycelog status`.",
	},
	"recovery.has-history": {
		meaning: "The actor to import into has a history of its own already; nothing was written.",
		retryable: false,
		fix: "Name another address with --into.",
	},
	"actor.unknown-type": {
		meaning: "No behaviour is registered for this actor type.",
		retryable: false,
		fix: "Use one of the types named in the message.",
	},
	"actor.invalid-address": {
		meaning: "An actor address does not follow `type/id`.",
		retryable: false,
		fix: "Write type/id, for example workspace/my-workspace.",
	},
	"actor.unsupported-machine": {
		meaning: "A machine uses a feature that cannot be made durable.",
		retryable: false,
		fix: "Replace the feature named in the message by an event and an effect.",
	},
	"actor.version-mismatch": {
		meaning: "A snapshot is of another version or structure of its machine, and nothing says how to use it.",
		retryable: false,
		fix: 'Give the actor type a `migrate`, or `onMismatch: "rebuild"`; messages parked meanwhile can be retried.',
	},
	"actor.expired": {
		meaning: "A message was past its expiry before it was sent; nothing was written.",
		retryable: false,
		fix: "Send it with a later expiry, if it still matters.",
	},
	"actor.ask-timeout": {
		meaning: "No reply came within the time given. The message may still be handled.",
		retryable: true,
		fix: "Ask again with the same id, or raise the timeout.",
	},
	"operator.node-unreachable": {
		meaning: "The node named with --node did not answer.",
		retryable: true,
		fix: "Check the address and that the node runs. Without --node the data directory or the broker is asked.",
	},
	"operator.access-refused": {
		meaning: "The node does not take this token for what was asked.",
		retryable: false,
		fix: "Set MYCELOG_OPERATOR_TOKEN or --token-file: the root token, or one with permission in ws-user-root.",
	},
	"operator.indexing": {
		meaning:
			"A running node is taking a partition up into its history index, which takes a while the first time.",
		retryable: true,
		fix: "Ask again: it goes on meanwhile, and the message says how far it is. `mycelog` does so by itself.",
	},
	"operator.refused": {
		meaning: "The node or the actor refused what was asked; nothing was changed.",
		retryable: false,
		fix: "Read the message: it says what does not fit.",
	},
	"actor.not-found": {
		meaning: "The actor has no records in the log.",
		retryable: false,
		fix: "List actors with `mycelog actors`.",
	},
	"projection.handler-failed": {
		meaning:
			"The handler of a projection failed as often as it may; the projection has stopped there, nothing was skipped.",
		retryable: false,
		fix: "Repair what the message names, then call `resume` on the projection.",
	},
	"event.invalid-name": {
		meaning: "An event's name is empty, too long or no well-formed text.",
		retryable: false,
		fix: "Use a name of 1 to 200 characters.",
	},
	"event.not-sendable": {
		meaning: "An event's data would not arrive as it is: it is neither text, nor bytes, nor a value of JSON.",
		retryable: false,
		fix: "Send the part named in the message in another form.",
	},
	"event.too-large": {
		meaning: "An event's data is over the limit.",
		retryable: false,
		fix: "Send less, or a reference to it; the limit is named in the message.",
	},
	"event.too-many": {
		meaning: "This node has handlers for as many events as it may have.",
		retryable: false,
		fix: "Use fewer names, and tell cases apart by the events' data.",
	},
	"event.wait-timeout": {
		meaning: "No event that matches came within the time given.",
		retryable: true,
		fix: "Check the event and match named in the message, or wait longer.",
	},
	"node.succeeded": {
		meaning: "Another process with the same node id has started and took this one's place.",
		retryable: false,
		fix: "Give every node of the cluster its own --node-id and --data-dir.",
	},
	"node.forgotten": {
		meaning: "The node was away for so long that the others removed what was kept for it.",
		retryable: true,
		fix: "Start it again, or let its supervisor do so. Nothing is lost: its actors have moved to the others.",
	},
	"gateway.port-in-use": {
		meaning: "The address to listen on is taken.",
		retryable: false,
		fix: "Choose another --port (0 picks a free one).",
	},
} as const satisfies Record<string, CatalogueEntry>;

/** A code of the catalogue; docs/reference/errors.md has them all. */
export type ErrorCode = keyof typeof ERROR_CATALOGUE;

/** An error of the catalogue. `details` is structured for logs and never holds a secret. */
export class MycelogError extends Error {
	/** Stable: what programs decide by. */
	readonly code: ErrorCode;
	/** What the message says, as fields. */
	readonly details: Readonly<Record<string, unknown>>;

	constructor(
		code: ErrorCode,
		message: string,
		details: Readonly<Record<string, unknown>> = {},
		options?: ErrorOptions,
	) {
		super(message, options);
		this.name = "MycelogError";
		this.code = code;
		this.details = details;
	}

	/** The same again may succeed without anybody changing anything. */
	get retryable(): boolean {
		return ERROR_CATALOGUE[this.code].retryable;
	}

	/** What to do about it. */
	get fix(): string {
		return ERROR_CATALOGUE[this.code].fix;
	}

	/** Whether it is an error of the catalogue, and of that code if one is given. */
	static is(error: unknown, code?: ErrorCode): error is MycelogError {
		return error instanceof MycelogError && (code === undefined || error.code === code);
	}
}
