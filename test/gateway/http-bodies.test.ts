/** How a request's body is read, from an answer and a budget in the test's hands. */
import type { HttpRequest, HttpResponse } from "uWebSockets.js";
import { expect, test } from "vitest";
import { Bodies } from "../../gateway/http-bodies.ts";
import { BODY_BYTES_MAX, Exchange } from "../../gateway/http-exchange.ts";

function request(bodies: Bodies) {
	let gone = () => {};
	let data: (part: ArrayBuffer, isLast: boolean) => void = () => {};
	const res = {
		getRemoteAddressAsText: () => new ArrayBuffer(0),
		onAborted: (heard: () => void) => {
			gone = heard;
		},
		onData: (heard: typeof data) => {
			data = heard;
		},
	};
	const req = { getMethod: () => "post", getUrl: () => "/", getQuery: () => "", forEach: () => {} };
	const exchange = new Exchange(res as unknown as HttpResponse, req as unknown as HttpRequest);
	const body = exchange.body(bodies);
	body.catch(() => {});
	return {
		body,
		send: (bytes: number, isLast: boolean) => data(new ArrayBuffer(bytes), isLast),
		gone: () => gone(),
	};
}

test("bodies that arrive share a budget, which is given back when they are complete, refused or given up", async () => {
	const bodies = new Bodies(100);
	const [one, two, three] = [request(bodies), request(bodies), request(bodies)];
	one.send(60, false);
	two.send(40, false);
	three.send(1, true);
	await expect(three.body).rejects.toMatchObject({ status: 503, headers: { "retry-after": "1" } });
	two.gone();
	const four = request(bodies);
	four.send(30, false);
	four.send(20, true);
	await expect(four.body).rejects.toMatchObject({ status: 503 });
	one.send(40, true);
	expect(await one.body).toHaveLength(100);
	expect(bodies.take(100)).toBe(true);
});

test("a body above its own bound is 413, at its end, and holds nothing meanwhile", async () => {
	const bodies = new Bodies();
	const large = request(bodies);
	large.send(BODY_BYTES_MAX, false);
	large.send(1, false);
	large.send(1, true);
	await expect(large.body).rejects.toMatchObject({ status: 413 });
});
