/** Imports and exports over the operator's routes as a network makes them: slow, cut off, too many, without a right. */
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { type ClientRequest, type IncomingMessage, request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { type OperatorStage, operatorStage } from "../kit/operator-stage.ts";

const ANN = "basket/ann";

let stage: OperatorStage;

beforeAll(async () => {
	stage = await operatorStage();
	for (const item of ["apple", "bread"]) await stage.mycelog.ref("basket", "ann").tell({ type: "add", item });
	await stage.mycelog.ref("basket", "ann").state();
});
afterAll(() => stage.remove());

async function lines(path: string, parameters: Record<string, string>): Promise<string> {
	const url = `${stage.mycelog.url}/operator/api/${path}?${new URLSearchParams(parameters)}`;
	return (await fetch(url, { headers: { authorization: `Bearer ${stage.rootToken}` } })).text();
}

function uploading(token = stage.rootToken): ClientRequest {
	const headers = { authorization: `Bearer ${token}`, "transfer-encoding": "chunked" };
	const sent = request(`${stage.mycelog.url}/operator/api/import/history`, { method: "POST", headers });
	sent.on("error", () => {
		// Of one that is cut off; an answer is waited for where there must be one.
	});
	sent.flushHeaders();
	return sent;
}

async function answerOf(
	sent: ClientRequest,
): Promise<{ status: number | undefined; body: { detail?: string } }> {
	const [response] = (await once(sent, "response")) as [IncomingMessage];
	let text = "";
	for await (const piece of response.setEncoding("utf8")) text += piece;
	return { status: response.statusCode, body: JSON.parse(text) };
}

const spooled = () => readdirSync(join(stage.dataDir, "imports"));

test("an export is the file that an import takes back, piece by piece", async () => {
	const file = await lines("export", { address: ANN });
	const sent = uploading();
	const body = `{"why": "again", "into": "basket/again"}\n${file}`;
	for (let i = 0; i < body.length; i += 50) sent.write(body.slice(i, i + 50));
	sent.end();
	expect(await answerOf(sent)).toMatchObject({
		status: 200,
		body: { dryRun: false, actors: [{ from: ANN }] },
	});
	expect((await stage.mycelog.ref("basket", "again").state()).context.items).toEqual(["apple", "bread"]);
	expect(spooled()).toEqual([]);
});

test("one import at a time: the next is refused, and one whose sender goes leaves no file and no record", async () => {
	const file = await lines("export", { address: ANN });
	const first = uploading();
	first.write(`{"why": "cut off", "into": "basket/half"}\n${file.slice(0, file.length / 2)}`);
	await vi.waitFor(() => expect(spooled()).toHaveLength(1));
	const second = uploading();
	second.end(`{"why": "at once"}\n`);
	expect(await answerOf(second)).toMatchObject({ status: 503 });
	first.destroy();
	await vi.waitFor(() => expect(spooled()).toEqual([]));
	expect((await stage.get("actor", { address: "basket/half" })).status).toBe(404);
	const third = uploading();
	third.end(`{"why": "damaged", "into": "basket/half"}\n${file.replace("bread", "broad")}`);
	expect(await answerOf(third)).toMatchObject({ status: 400, body: { code: "recovery.invalid-file" } });
	expect(spooled()).toEqual([]);
});

test("the first line says what is done with the file; without it, or with an unknown field, nothing is", async () => {
	const wrong: [string, string][] = [
		["", "a line of fields and the lines of a file are needed"],
		["no json\n", "the first line of the body is no JSON"],
		['{"format": "mycelog-history"}\n', 'no field "format" in the first line of the body'],
		['{"into": "basket/x"}\n', 'the field "why" is needed'],
		['{"why": "no file"}\n', "the file is empty"],
	];
	for (const [body, detail] of wrong) {
		const sent = uploading();
		sent.end(body);
		expect(await answerOf(sent), body).toMatchObject({
			status: 400,
			body: { detail: expect.stringContaining(detail) },
		});
	}
});

test("who has no right is answered at once, however much there is to send", async () => {
	const sent = uploading("not-a-token");
	const answer = answerOf(sent);
	const piece = Buffer.alloc(64 * 1024, "x");
	let isOver = false;
	sent.once("response", () => {
		isOver = true;
	});
	for (let i = 0; i < 1_000 && !isOver; i++) {
		if (!sent.write(piece)) await Promise.race([once(sent, "drain"), answer]);
	}
	expect(await answer).toMatchObject({ status: 401 });
	sent.destroy();
	expect(spooled()).toEqual([]);
});

test("what fails on the way is the last line of an export, which then is no whole file", async () => {
	const { log } = stage.mycelog.node;
	const read = log.read.bind(log);
	const many = Array.from({ length: 1_100 }, () => {
		return stage.mycelog.ref("basket", "big").tell({ type: "add", item: "x".repeat(200) });
	});
	await Promise.all(many);
	// The index has it first.
	await stage.get("history", { address: "basket/big", limit: 1 });
	let pages = 0;
	log.read = (id, from, limit) => {
		if (limit.maxRecords > 100 && ++pages > 1) return Promise.reject(new Error("the disk is gone"));
		return read(id, from, limit);
	};
	const text = await lines("export", { address: "basket/big" }).finally(() => {
		log.read = read;
	});
	const last = JSON.parse(text.trimEnd().split("\n").at(-1) as string);
	expect(last).toEqual({ error: { detail: "the disk is gone" } });
	expect(text.split("\n").length).toBeGreaterThan(100);
	expect(text).not.toContain("sha256");
});
