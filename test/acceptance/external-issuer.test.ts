/** A node that believes another issuer: its users come in by WebSocket and HTTP, and wait while its keys cannot be had. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import WebSocket from "ws";
import { NodeProcess } from "../kit/node-process.ts";
import { RawClient } from "../kit/raw-client.ts";

const ISSUER = "https://issuer.example.org/";
const AUDIENCE = "mycelog";

describe("users of another issuer", () => {
	let server: Server;
	let node: NodeProcess;
	let token: string;
	let isUp = false;

	beforeAll(async () => {
		const { publicKey, privateKey } = await generateKeyPair("RS256");
		const keys = [{ ...(await exportJWK(publicKey)), kid: "a" }];
		server = createServer((_, response) => {
			response.writeHead(isUp ? 200 : 500, { "content-type": "application/json" });
			response.end(JSON.stringify({ keys }));
		});
		await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
		const jwks = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`;
		const options = ["--issuer", ISSUER, "--issuer-audience", AUDIENCE, "--issuer-jwks-uri", jwks];
		node = await NodeProcess.start("sqlite", options);
		token = await new SignJWT({ scope: "openid" })
			.setProtectedHeader({ alg: "RS256", kid: "a" })
			.setIssuer(ISSUER)
			.setAudience(AUDIENCE)
			.setSubject("ada-of-elsewhere")
			.setExpirationTime("1h")
			.sign(privateKey);
	});
	afterAll(async () => {
		server.close();
		await node?.remove();
	});

	test("are asked to come again while the keys cannot be had, and are let in and served as soon as they can", async () => {
		const call = () =>
			fetch(`${node.url}/public/services/ws/check_status`, { headers: { authorization: `Bearer ${token}` } });
		expect((await call()).status).toBe(503);
		const socket = new WebSocket(`${node.url.replace("http", "ws")}/ws`);
		const texts: unknown[] = [];
		socket.on("message", (text) => texts.push(text));
		await new Promise((resolve) => socket.once("open", resolve));
		socket.send(JSON.stringify({ client_id: "early", token }));
		const code = await new Promise((resolve) => socket.once("close", resolve));
		// Without an error text, which would make the clients give up.
		expect([code, texts]).toEqual([1013, []]);

		isUp = true;
		const client = await RawClient.connect(node.url, { clientId: "late", token });
		expect(client.info).toMatchObject({
			workspace: "ws-user-ada-of-elsewhere",
			user: { id: "ada-of-elsewhere", is_anonymous: false },
		});
		await client.leave();
		expect((await call()).status).toBe(200);
	});
});
