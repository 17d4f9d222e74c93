/** The actor types a Mycelog node knows. */
import { accountBehaviour } from "../actors/account.ts";
import { clientBehaviour } from "../actors/client.ts";
import { directoryBehaviour } from "../actors/directory.ts";
import { loginBehaviour } from "../actors/login.ts";
import { userBehaviour } from "../actors/user-connections.ts";
import { workspaceBehaviour } from "../actors/workspace.ts";
import type { Behaviour, Behaviours } from "../runtime/behaviour.ts";
import { EVENT_BEHAVIOURS } from "../runtime/event-actors.ts";
import { positionBehaviour } from "../runtime/projection-positions.ts";

export const BEHAVIOURS: readonly Behaviour[] = [
	workspaceBehaviour,
	clientBehaviour,
	userBehaviour,
	directoryBehaviour,
	accountBehaviour,
	loginBehaviour,
	...EVENT_BEHAVIOURS,
	positionBehaviour,
];

export const BEHAVIOURS_BY_TYPE: Behaviours = new Map(
	BEHAVIOURS.map((behaviour) => [behaviour.type, behaviour]),
);
