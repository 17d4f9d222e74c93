/**
 * What the JavaScript client is told to do by a test, in Node and in a browser alike. Owns the translation of commands to
 * client calls; what is right or wrong, the test decides. Twin of driver.py.
 */

/** From the driver: `connectToServer` and `login` of the client, `bytes` for results. */
export const kit = {};

const servers = new Map();
const services = new Map();
const recorded = new Map();
const events = new Map();
const handlers = new Map();
const waiting = new Set();

function decoded(value) {
	if (Array.isArray(value)) return value.map(decoded);
	if (typeof value !== "object" || value === null) return value;
	if ("$bytes" in value) return Uint8Array.from(atob(value.$bytes), (letter) => letter.charCodeAt(0));
	if ("$pattern" in value) return Uint8Array.from({ length: value.$pattern }, (_, index) => index % 251);
	return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, decoded(item)]));
}

function encoded(value) {
	if (value instanceof Uint8Array) return kit.bytes(value);
	if (value instanceof ArrayBuffer) return kit.bytes(new Uint8Array(value));
	if (Array.isArray(value)) return value.map(encoded);
	if (typeof value !== "object" || value === null) return value ?? null;
	const plain = Object.entries(value).filter(([, item]) => typeof item !== "function");
	return Object.fromEntries(plain.map(([key, item]) => [key, encoded(item)]));
}

function helloService(id, config) {
	if (config.require_context) {
		const whoami = ({ from, to, ws, user }) => ({ from, to, ws, user });
		return { id, name: id, config, whoami };
	}
	const order = recorded.get(id) ?? [];
	recorded.set(id, order);
	return {
		id,
		name: id,
		config,
		add: (a, b) => a + b,
		reverse: (data) => data.slice().reverse(),
		echo: (value) => value,
		greet: (name, greeting = "Hello", mark = "!") => `${greeting} ${name}${mark}`,
		record: (sender, seq) => {
			order.push([sender, seq]);
			return seq * 2;
		},
		each: async (items, visit) => {
			const results = [];
			for (const item of items) results.push(await visit(item));
			return results;
		},
		count: function* (upto) {
			for (let number = 0; number < upto; number++) yield number;
		},
		fail: (text) => {
			throw new Error(text);
		},
		hang: () => new Promise(() => {}),
		math: { twice: (number) => number * 2, deep: { negate: (number) => -number } },
		setup: () => order.push(["setup", 0]),
		/** What instances are compared by; one that has no weight says nothing. */
		weight: () => config.weight,
	};
}

function received(name, event) {
	const key = `${name} ${event}`;
	if (!events.has(key)) events.set(key, []);
	return events.get(key);
}

/** The server object has events of its own only over a WebSocket. */
function eventsOf(name) {
	return servers.get(name).rpc;
}

export const commands = {
	async connect({ name, options }) {
		const server = await kit.connectToServer(options);
		servers.set(name, server);
		const { workspace, client_id, user } = server.config;
		return { workspace, client: client_id, user: encoded(user) };
	},
	/** The client's own login: `logged_in` is where its page would post to, with whose name and password. */
	async log_in({ options, logged_in: { url, fields } }) {
		const login_callback = async ({ key }) => {
			const headers = { "content-type": "application/json" };
			await fetch(url, { method: "POST", headers, body: JSON.stringify({ ...fields, key }) });
		};
		return encoded(await kit.login({ ...options, login_callback }));
	},
	/** What the server told about itself and the connection. */
	async config({ name }) {
		return encoded(servers.get(name).config);
	},
	/** `more`: further fields of the service. */
	async register({ name, id, config = {}, more = {} }) {
		return (await servers.get(name).registerService({ ...helloService(id, config), ...more })).id;
	},
	async unregister({ name, id }) {
		await servers.get(name).unregisterService(id);
	},
	async find({ name, id, options = {} }) {
		const service = await servers.get(name).getService(id, options);
		services.set(`${name} ${id}`, service);
		const methods = Object.keys(service).filter((key) => typeof service[key] === "function");
		return { id: service.id, methods: methods.sort() };
	},
	async call({ name, id, method, args = [], kwargs }) {
		const keywords = kwargs ? [{ ...decoded(kwargs), _rkwargs: true }] : [];
		const path = method.split(".");
		const owner = path.slice(0, -1).reduce((part, key) => part[key], services.get(`${name} ${id}`));
		return encoded(await owner[path.at(-1)](...decoded(args), ...keywords));
	},
	async manage({ name, method, args = [], kwargs }) {
		const keywords = kwargs ? [{ ...decoded(kwargs), _rkwargs: true }] : [];
		const camelCase = method.replace(/_(.)/g, (_, letter) => letter.toUpperCase());
		return encoded(await servers.get(name)[camelCase](...decoded(args), ...keywords));
	},
	/** Call `each` with a callback; the callback's own view comes back too. */
	async visit({ name, id, items }) {
		const seen = [];
		const visitor = (item) => {
			seen.push(item);
			return item * 10;
		};
		return { result: await services.get(`${name} ${id}`).each(items, visitor), seen };
	},
	async drain({ name, id, upto }) {
		const items = [];
		for await (const item of await services.get(`${name} ${id}`).count(upto)) items.push(item);
		return items;
	},
	/** All calls in flight at once; the results in the order of the calls. */
	async flood({ name, id, sender, count }) {
		const { record } = services.get(`${name} ${id}`);
		return Promise.all(Array.from({ length: count }, (_, seq) => record(sender, seq)));
	},
	async order({ id }) {
		return recorded.get(id) ?? [];
	},
	async on({ name, event, once = false }) {
		const list = received(name, event);
		const handler = (message) => {
			list.push({ data: encoded(message.data), from: message.from ?? null });
			for (const waiter of waiting) {
				if (waiter.list === list && list.length >= waiter.count) {
					waiting.delete(waiter);
					waiter.resolve();
				}
			}
		};
		handlers.set(`${name} ${event}`, handler);
		if (once) eventsOf(name).once(event, handler);
		else eventsOf(name).on(event, handler);
	},
	async off({ name, event }) {
		eventsOf(name).off(event, handlers.get(`${name} ${event}`));
	},
	/** What the handlers of the event got, as soon as it is `count` messages. */
	async heard({ name, event, count = 0 }) {
		const list = received(name, event);
		if (list.length < count) await new Promise((resolve) => waiting.add({ list, count, resolve }));
		return list;
	},
	async emit({ name, message }) {
		await eventsOf(name).emit(decoded(message));
	},
	async notices({ name, event, to, first, count }) {
		for (let seq = first; seq < first + count; seq++) {
			await eventsOf(name).emit({ type: event, to, data: seq });
		}
	},
	async disconnect({ name }) {
		const server = servers.get(name);
		servers.delete(name);
		await server.disconnect();
	},
};
