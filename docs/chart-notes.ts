/**
 * What states, events and guards of the machines mean, in words. Owns the prose of docs/concepts/statecharts.md;
 * charts.ts draws the machines and refuses a note that is missing or has nothing to explain any more.
 */

export interface ChartNotes {
	readonly title: string;
	readonly introduction: string;
	/** By state, nested ones as `parent.child`. */
	readonly states: Readonly<Record<string, string>>;
	/** By event, delays as `after name`. */
	readonly events: Readonly<Record<string, string>>;
	readonly guards: Readonly<Record<string, string>>;
}

export const CLIENT_NOTES: ChartNotes = {
	title: "The client: `client/<workspace>/<client>`",
	introduction:
		"Presence of one client. It holds the *claim*: which connection, on which node process, speaks for the client, " +
		"and from which mailbox offset on the frames are that session's. A newcomer that the workspace has not admitted " +
		"yet is kept beside it as *pending*. Frames (calls, answers, events) are no events of this machine: they pass " +
		"through the actor and change nothing. They go to the socket in `online`, stay in the mailbox in `suspended`, and " +
		"are refused or dropped in every other state.",
	states: {
		absent: "No session yet, and none that could be resumed. The state before the first record.",
		joining: "A connection asks to speak for the client; the workspace has been asked to admit it.",
		online: "A socket speaks for the client, and frames go to it.",
		suspended: "The socket is gone without a goodbye. Frames wait in the mailbox for its return.",
		closed:
			"The session is over: on entering, the workspace is told (`member.leave`), and callers are refused from now on.",
	},
	events: {
		"client.connect": "A gateway asks for a new connection, with or without a reconnection token.",
		"client.admitted": "The workspace and the user's limit let the client in.",
		"client.refused": "They do not, and say why.",
		"client.acked": "The gateway reports how far the client has acknowledged (by pong).",
		"client.left": "The socket ended with a close frame of the client's own: a goodbye.",
		"client.cut": "The socket ended in any other way.",
		"client.claimLost": "The node process that held the connection is gone (it was started anew).",
		"client.imported":
			"The client was another server's and is taken over with its workspace: it has a window's time to come.",
		"client.met":
			"A client of another workspace was allowed to call this one, or the other way round: from now on they may talk.",
		"client.callWaits":
			"A call has come for the suspended client: whoever waits for it is answered if the client does not come back.",
		"client.kicked": "The workspace shows the client out: it was deleted or unloaded, or an admin said so.",
		"after resumeWindow": "The cut connection did not come back within `--resume-window-ms`.",
	},
	guards: {
		resumes: "the connect shows a reconnection token",
		ofClaim: "it speaks of the connection that holds the claim",
		ofPending: "it speaks of the connection that waits for admission",
		ofAwaited: "it answers the newest request for admission",
		ofClaimedNode: "the node process that is gone held the claim",
		ofPendingNode: "the node process that is gone held the connection that waits",
	},
};

export const WORKSPACE_NOTES: ChartNotes = {
	title: "The workspace: `workspace/<name>`",
	introduction:
		"Members, services, subscriptions and settings of one workspace. The machine owns the lifecycle; what a command " +
		"does in a state is a pure function in an `actors/workspace-*.ts` file. Two kinds of branches are in the table " +
		"below and not in the picture: commands that change data but not the state, and refusals, which are answered " +
		"to whoever asked.",
	states: {
		absent:
			"Never made. A first member that brings a record (a user's own workspace) or a request founds it.",
		active: "It exists; commands about services, events and settings are taken.",
		"active.empty": "Kept without members: it is persistent, or was just made by request.",
		"active.occupied": "At least one member.",
		deleted: "Gone, but for the tokens that were revoked here. The name can be founded again.",
	},
	events: {
		"member.join": "A client actor asks to admit a connection.",
		"member.leave":
			"A client actor says that a connection is over for good, or a user actor that it is over the limit.",
		"workspace.import": "An operator takes the workspace over from another server's store.",
		"workspace.importClient":
			"The same for a client that was connected there: it and its services count as members that were cut off.",
		"workspace.create": "A request to make the workspace, or to overwrite its record.",
		"workspace.delete": "A request to delete it; the other members are shown out.",
		"service.register": "A member registers or replaces a service.",
		"service.unregister": "A member removes a service.",
		"events.subscribe": "A member wants to hear of event types.",
		"events.unsubscribe": "A member does not want to any more.",
		"events.announce": "Another workspace has news for subscribers here (a workspace was made or deleted).",
		"events.log": "A line for the history; the newest ones can be asked for.",
		"env.set": "An environment variable is set or removed.",
		"bookmark.add": "A link to a workspace or service is kept.",
		"bookmark.remove": "Such a link is removed.",
		"serviceType.register": "A description that services can be checked against is kept or replaced.",
		"member.kick": "An admin wants a member shown out.",
		"workspace.unload": "An admin wants all members shown out; who subscribed is told.",
		"token.revoke": "A token must not be let in any more. Works in every state.",
	},
	guards: {
		mayJoin:
			"token not revoked, workspace there or brought along, read permission, not an older connection, within the quotas",
		mayImport: "a legal record, and not there yet (or overwriting)",
		mayImportClient: "the workspace is there, and no such client has come here itself",
		mayCreate: "a registered user, a legal name, and not there yet (or overwriting with admin permission)",
		mayDelete: "admin permission",
		isLate: "a newer connection of the client has joined meanwhile, or it is no member",
		isLastOfTemporary: "the last member leaves, and the workspace is not persistent",
		isLast: "the last member leaves",
	},
};

export const USER_NOTES: ChartNotes = {
	title: "The user: `user/<id>`",
	introduction:
		"Which connections a user has, over all workspaces and nodes. Workspaces tell it of members that come and go; it " +
		"holds the set of them and compares its size with the limit (`--connections-per-user-max`). Tokens that a user " +
		"made count with their maker.",
	states: { counting: "The only state: connections come and go." },
	events: {
		"user.join": "A workspace has let a connection in; within the limit the client is admitted.",
		"user.leave": "A member has left, or became another user's.",
	},
	guards: {
		mayJoin: "within the limit, or a session that goes on",
		isLate: "a newer connection of the client has joined meanwhile, or it is not known",
	},
};

export const DIRECTORY_NOTES: ChartNotes = {
	title: "The directory: `directory/workspaces`",
	introduction:
		"Which workspaces there are, for lists over all of them. Each workspace is the truth about itself and tells the " +
		"directory of every change to its record.",
	states: { listing: "The only state: records come and go." },
	events: {
		"directory.put": "A workspace tells of its new or changed record.",
		"directory.remove": "A workspace has ended.",
	},
	guards: {},
};

export const ACCOUNT_NOTES: ChartNotes = {
	title: "An account: `account/<name>`",
	introduction:
		"A person who can [log in](../operating/login.md) with a password: the hash of it, and the id of the user that a " +
		"login gives a token for.",
	states: { absent: "There is none of this name.", present: "There is one." },
	events: {
		"account.create": "The operator makes it.",
		"account.setPassword": "It gets another password, by its owner or the operator.",
		"account.remove": "The operator removes it.",
	},
	guards: {},
};

export const LOGIN_NOTES: ChartNotes = {
	title: "Logins: `login/results`",
	introduction:
		"Tokens of logins that programs wait for, encrypted, until they expire. Programs look with a query, which is no event.",
	states: { keeping: "The only state: results come and expire." },
	events: { "login.report": "A person has logged in for the program that has the key." },
	guards: {},
};

export const EVENT_NOTES: ChartNotes = {
	title: "An event: `event/<name>`",
	introduction:
		"Which nodes want an event that programs emit through the [event bus](../reference/event-bus.md). The events " +
		"themselves pass through its mailbox to those nodes and change nothing.",
	states: { passing: "The only state: nodes come and go, events pass." },
	events: {
		"event.wanted": "A node has a first handler for it; from this offset on it gets everything.",
		"event.unwanted": "A node has no handler for it any more, or is gone.",
	},
	guards: { isCurrent: "the process that wanted it is the one that does not any more" },
};

export const INTEREST_NOTES: ChartNotes = {
	title: "A node's interest: `interest/<node id>`",
	introduction:
		"Which events one node wants. It holds the claim of the node's process: when that is gone, every event hears that " +
		"nobody there wants it any more.",
	states: { noting: "The only state: events come and go." },
	events: {
		"interest.add": "The node wants an event; what an earlier process of it wanted ends.",
		"interest.remove": "The node does not want an event any more.",
		"interest.lost":
			"The node's process is gone. If it lives on after all, it is told, and says anew what it wants.",
	},
	guards: { isMeant: "the process is the one that holds the claim, and did not come back since" },
};
