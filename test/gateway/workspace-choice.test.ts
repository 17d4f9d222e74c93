import { expect, test } from "vitest";
import { chooseWorkspace } from "../../gateway/workspace-choice.ts";
import { root, user } from "../kit/users.ts";

test("nobody founds the root user's workspace, or anybody else's, by joining it first", () => {
	for (const wanted of ["ws-user-root", "ws-user-bob", "a-team"]) {
		expect(chooseWorkspace(user("ada"), wanted)).toEqual({ id: wanted });
		expect(chooseWorkspace(user("ada", {}, { roles: ["anonymous"], is_anonymous: true }), wanted)).toEqual({
			id: wanted,
		});
	}
	expect(chooseWorkspace(user("ada"), undefined)).toMatchObject({
		id: "ws-user-ada",
		ensure: { record: { owners: ["ada", "root"] } },
	});
	expect(chooseWorkspace(root(), "ws-user-root")).toMatchObject({
		id: "ws-user-root",
		ensure: expect.anything(),
	});
});
