/** Lists of many services: page by page from the registry, a part at a time into the answer. */
import { decodeMulti } from "@msgpack/msgpack";
import { describe, expect, test } from "vitest";
import { PAGE_CHARACTERS_MAX } from "../../actors/service-page.ts";
import { ITEMS_A_TURN_MAX, replyFrame } from "../../gateway/large-reply.ts";
import { frameOf } from "../../gateway/rpc-value.ts";
import { ManagerStage } from "../kit/manager-stage.ts";
import { caller, user } from "../kit/users.ts";

const CLIENTS = 12;
const SERVICES = 900;

const ann = user("ann");
const inHome = caller("c0", "ws-user-ann", ann);

function crowded(): ManagerStage {
	const stage = new ManagerStage();
	for (let c = 0; c < CLIENTS; c++) {
		stage.connect("ws-user-ann", `c${c}`, ann);
		for (let s = 0; s < SERVICES; s++) {
			stage.register("ws-user-ann", `c${c}`, ann, { id: `service-${s}`, config: { visibility: "public" } });
		}
	}
	return stage;
}

const stage = crowded();

describe("a workspace with more than 10,000 services", () => {
	test("lists them in pages that fit into a record, each service once", () => {
		const ids: string[] = [];
		let pages = 0;
		let from: unknown;
		do {
			const page = stage.page("ws-user-ann", inHome, { from });
			expect(JSON.stringify(page.services).length).toBeLessThan(1.1 * PAGE_CHARACTERS_MAX);
			ids.push(...page.services.map(({ id }) => id));
			from = page.next;
			pages++;
		} while (from);
		expect(pages).toBeGreaterThan(10);
		expect(new Set(ids).size).toBe(ids.length);
		expect(ids).toHaveLength(CLIENTS * (SERVICES + 1));
	});

	test("goes on behind a service that was removed between two pages", () => {
		const first = stage.page("ws-user-ann", inHome);
		const { client, service } = first.next as { client: string; service: string };
		const removed = {
			type: "service.unregister",
			service_id: `${client}:${service}`,
			caller: { ...inHome, client },
		};
		stage.ask("workspace/ws-user-ann", removed);
		const second = stage.page("ws-user-ann", inHome, { from: first.next });
		const seen = new Set(first.services.map(({ id }) => id));
		expect(second.services[0]?.id).not.toBe(`ws-user-ann/${client}:${service}`);
		expect(second.services.filter(({ id }) => seen.has(id))).toEqual([]);
		stage.register("ws-user-ann", client, ann, { id: service, config: { visibility: "public" } });
	});

	test("gives all of them to list_services, and finds one of them without a look at the others", async () => {
		const listed = (await stage.call(ann, "list_services")) as unknown[];
		expect(listed).toHaveLength(CLIENTS * (SERVICES + 1));
		const query = { client_id: "c3", service_id: "service-7*" };
		expect(await stage.call(ann, "list_services", { query })).toHaveLength(111);
		const found = await stage.call(ann, "get_service_info", { service_id: "c11:service-899" });
		expect(found).toMatchObject({ id: "ws-user-ann/c11:service-899" });
	});

	test("serves other work between the parts of its answer, which is the frame that one turn would have made", async () => {
		const listed = (await stage.call(ann, "list_services")) as unknown[];
		let turns = 0;
		let listening = true;
		const others = () => {
			turns++;
			if (listening) setImmediate(others);
		};
		setImmediate(others);
		const main = { type: "method", to: "x", method: "s.resolve" };
		const frame = await replyFrame(main, listed);
		listening = false;
		expect(turns).toBeGreaterThan(listed.length / ITEMS_A_TURN_MAX / 2);
		expect([...decodeMulti(frame)]).toEqual([...decodeMulti(frameOf(main, { args: [listed] }))]);
	});
});
