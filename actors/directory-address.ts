/**
 * Where the one directory of workspaces is found, and what it may be asked to say on a workspace's behalf.
 * Apart from directory.ts, so that workspaces need not know it.
 */
import { addressOf } from "../runtime/address.ts";
import type { ReplyTo } from "../runtime/message.ts";

export const DIRECTORY_ADDRESS = addressOf("directory", "workspaces");

/** Given once the directory has the change. */
export interface DirectoryAnswer {
	readonly to: ReplyTo;
	readonly value: unknown;
}
