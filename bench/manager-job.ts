/**
 * Calls of the workspace manager beside plain calls between clients, and lists of many services while others call.
 * Owns the load; prints its result as one line of JSON.
 */
import { randomBytes } from "node:crypto";
import { RawClient } from "../test/kit/raw-client.ts";
import { quantile } from "./figures.ts";

export interface ManagerParameters {
	readonly url: string;
	/** Of the server: it is told when lists begin. */
	readonly pid: number;
	readonly token: string;
	/** Of each kind, one at a time. */
	readonly calls: number;
	/** At most 1,000 of each provider. */
	readonly services: number;
	readonly lists: number;
}

export interface ManagerResult {
	readonly echoP50: number;
	readonly getServiceP50: number;
	readonly listP50: number;
	/** Of plain calls while lists are made. */
	readonly besideP99: number;
	readonly listedKb: number;
}

const SERVICES_OF_ONE = 1_000;

const { url, pid, token, calls, services, lists } = JSON.parse(
	process.argv[2] as string,
) as ManagerParameters;

async function timed(run: () => Promise<unknown>): Promise<number> {
	const since = performance.now();
	await run();
	return performance.now() - since;
}

function quantileOf(times: readonly number[], share: number): number {
	return quantile(Float64Array.from(times).sort(), share);
}

const root = await RawClient.patiently(url, { clientId: "root", token });
const workspace = `bench-${randomBytes(4).toString("hex")}`;
await root.manage("create_workspace", { id: workspace, persistent: true });
const member = (await root.manage("generate_token", { workspace })) as string;
const connect = (clientId: string) => RawClient.patiently(url, { clientId, workspace, token: member });

const provider = await connect("provider");
await provider.serve("echo", (method, [value]) => (/get_service$/.test(method) ? { id: "echo" } : value));
const caller = await connect("caller");
const echo = () => caller.call("provider", "services.echo.say", ["hi"]);
const getService = () => caller.manage("get_service", "provider:echo");

// In turn, so that whatever else the machine does falls on both.
const echoes: number[] = [];
const gets: number[] = [];
for (let n = 0; n < calls; n++) {
	const warm = n < calls / 5;
	const [one, other] = [await timed(echo), await timed(getService)];
	if (warm) continue;
	echoes.push(one);
	gets.push(other);
}

for (let registered = 0; registered < services; registered += SERVICES_OF_ONE) {
	const many = await connect(`many-${registered}`);
	const register = (id: string) =>
		many.manage("register_service", { id: `${many.peer}:${id}`, type: id, config: {} });
	await register("built-in");
	const names = Array.from(
		{ length: Math.min(SERVICES_OF_ONE, services - registered) },
		(_, n) => `service-${n}`,
	);
	for (let n = 0; n < names.length; n += 50) await Promise.all(names.slice(n, n + 50).map(register));
}

let bytes = 0;
let complete = () => {};
const lister = await connect("lister");
await lister.serve("none", (method, args) => {
	if (/message_cache\.set$/.test(method)) bytes += (args[2] as Uint8Array).length;
	if (/message_cache\.process$/.test(method)) complete();
	return null;
});
const list = () => {
	const { promise, resolve } = Promise.withResolvers<void>();
	complete = resolve;
	const { session } = lister.startCall();
	const main = { type: "method", to: lister.managerPeer, method: "services.default.list_services", session };
	lister.send(main, { args: [], promise: "*", t: 15 });
	return promise;
};
await list();
process.kill(pid, "SIGHUP");
let listing = true;
const beside: number[] = [];
const others = (async () => {
	while (listing) beside.push(await timed(echo));
})();
const listTimes: number[] = [];
bytes = 0;
for (let n = 0; n < lists; n++) listTimes.push(await timed(list));
listing = false;
await others;

const result: ManagerResult = {
	echoP50: quantileOf(echoes, 0.5),
	getServiceP50: quantileOf(gets, 0.5),
	listP50: quantileOf(listTimes, 0.5),
	besideP99: quantileOf(beside, 0.99),
	listedKb: Math.round(bytes / lists / 1024),
};
process.stdout.write(`${JSON.stringify(result)}\n`);
process.exit(0);
