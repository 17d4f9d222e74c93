/** A user's connections over all workspaces: the set is what members there are, whatever happened in between. */
import { describe, expect, test } from "vitest";
import type { User } from "../../actors/user.ts";
import { Random } from "../../testing/random.ts";
import { root, user } from "../kit/users.ts";
import { WorkspaceStage } from "../kit/workspace-stage.ts";

const ann = user("ann", { "lab-1": "rw", "lab-2": "rw" });
const LIMIT = 3;
const limits = { clientsPerWorkspace: 1_000, connectionsPerUser: LIMIT };

class Scene extends WorkspaceStage {
	constructor() {
		super();
		for (const workspace of ["lab-1", "lab-2"]) this.join(workspace, "owner", root());
	}

	/** Connections that count as this user's. */
	connections(id = "ann"): string[] {
		const listed = this.ask(`user/${id}`, { type: "user.connections" }, "query") as string[];
		return listed.map((address) => address.slice("client/".length)).sort();
	}

	/** What the client is told: "admitted", or why not. */
	tryJoin(workspace: string, client: string, generation: number, who: User = ann): unknown {
		this.tell(`workspace/${workspace}`, { type: "member.join", client, generation, user: who, limits });
		const [answer] = this.take().filter(
			(effect) => "to" in effect && effect.to === `client/${workspace}/${client}`,
		);
		if (answer?.type !== "tell") throw new Error(`${workspace}/${client} was told nothing`);
		return answer.event["reason"] ?? answer.event.type.slice("client.".length);
	}

	leave(workspace: string, client: string, generation: number): void {
		this.tell(`workspace/${workspace}`, { type: "member.leave", client, generation, reason: "test" });
	}

	members(workspace: string): string[] {
		const summary = this.ask(
			`workspace/${workspace}`,
			{ type: "workspace.summary", caller: { client: "owner", workspace, user: root() } },
			"query",
		) as { clients: string[] };
		return summary.clients.filter((peer) => !peer.endsWith("/owner")).sort();
	}
}

const FULL = `User ann has reached the limit of ${LIMIT} connections`;

describe("a user's connections", () => {
	test("are counted over all workspaces, and one that leaves makes room", () => {
		const scene = new Scene();
		const joined = ["a", "b", "c"].map((client, n) => scene.tryJoin(n === 1 ? "lab-2" : "lab-1", client, n));
		expect(joined).toEqual(["admitted", "admitted", "admitted"]);
		expect(scene.tryJoin("lab-2", "d", 3)).toBe(FULL);
		expect(scene.connections()).toEqual(["lab-1/a", "lab-1/c", "lab-2/b"]);
		scene.leave("lab-2", "b", 1);
		expect(scene.tryJoin("lab-1", "d", 4)).toBe("admitted");
	});

	test("over the limit are no members, and nobody hears of them", () => {
		const scene = new Scene();
		scene.subscribe("lab-1", "owner", root(), "client_disconnected");
		for (const client of ["a", "b", "c"]) scene.tryJoin("lab-1", client, 1);
		scene.tell("workspace/lab-1", { type: "member.join", client: "d", generation: 5, user: ann, limits });
		const refused = { type: "client.refused", generation: 5, reason: FULL };
		expect(scene.take()).toEqual([{ type: "tell", to: "client/lab-1/d", event: refused }]);
		expect(scene.members("lab-1")).toEqual(["lab-1/a", "lab-1/b", "lab-1/c"]);
	});

	test("that go on are not refused, and not counted twice", () => {
		const scene = new Scene();
		for (const client of ["a", "b", "c"]) scene.tryJoin("lab-1", client, 1);
		expect(scene.tryJoin("lab-1", "a", 7)).toBe("admitted");
		expect(scene.connections()).toHaveLength(LIMIT);
	});

	test("are not ended by the late goodbye of an older one", () => {
		const scene = new Scene();
		scene.tryJoin("lab-1", "a", 1);
		scene.tryJoin("lab-1", "a", 7);
		scene.leave("lab-1", "a", 1);
		scene.tell("user/ann", { type: "user.leave", client: "client/lab-1/a", generation: 1 });
		expect(scene.connections()).toEqual(["lab-1/a"]);
	});

	test("end with their workspace", () => {
		const scene = new Scene();
		scene.tryJoin("lab-1", "a", 1);
		scene.tryJoin("lab-2", "b", 1);
		scene.ask("workspace/lab-1", {
			type: "workspace.delete",
			caller: { client: "owner", workspace: "lab-1", user: root() },
		});
		expect(scene.connections()).toEqual(["lab-2/b"]);
	});

	test("pass to another user that takes the client over", () => {
		const scene = new Scene();
		scene.tryJoin("lab-1", "a", 1);
		scene.tryJoin("lab-1", "a", 2, user("bob", { "lab-1": "rw" }));
		expect([scene.connections("ann"), scene.connections("bob")]).toEqual([[], ["lab-1/a"]]);
	});

	test("made with tokens of the user count with it, those with tokens of root stand alone", () => {
		const scene = new Scene();
		const child = (id: string, parent: string) => user(id, { "lab-1": "rw" }, { parent });
		for (const n of [1, 2, 3]) scene.tryJoin("lab-1", `c${n}`, n, child(`child-${n}`, "ann"));
		expect(scene.tryJoin("lab-1", "a", 9)).toBe(FULL);
		for (const n of [1, 2, 3, 4]) {
			expect(scene.tryJoin("lab-1", `r${n}`, n, child(`worker-${n}`, "root"))).toBe("admitted");
		}
		expect(scene.connections("worker-4")).toEqual(["lab-1/r4"]);
	});

	test("are the members of all workspaces after any order of joins, goodbyes and late goodbyes", () => {
		const seed = Number(process.env["SEED"] ?? Date.now() % 1_000_000);
		const random = new Random(seed);
		const scene = new Scene();
		for (let step = 1; step <= 2_000; step++) {
			const [workspace, client] = [random.pick(["lab-1", "lab-2"]), random.pick(["a", "b", "c", "d"])];
			if (random.chance(0.5)) scene.tryJoin(workspace, client, step);
			// Of the newest connection, of an older one, or of nobody.
			else scene.leave(workspace, client, random.pick([step, step, random.between(0, step)]));
			const members = [...scene.members("lab-1"), ...scene.members("lab-2")];
			expect(scene.connections(), `seed ${seed}, step ${step}`).toEqual(members);
			expect(members.length).toBeLessThanOrEqual(LIMIT);
		}
	});
});
