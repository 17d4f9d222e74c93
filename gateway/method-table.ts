/**
 * Tables of methods that the server itself serves, as objects that clients get. Owns the form of such an object and the
 * word for what is not offered.
 */
import type { ManagerMethod, ManagerMethods } from "./manager-context.ts";
import { methodValue } from "./rpc-value.ts";

/** One encoded method for each of the table; schemas only where a client reads them, for objects stay small so. */
export function methodObject(target: string, service: string, methods: ManagerMethods) {
	const values = Object.entries(methods).map(([name, { doc, schema }]) => {
		const method = methodValue(target, service, name, doc);
		return [name, schema ? { ...method, _rschema: { name, description: doc, parameters: schema } } : method];
	});
	return Object.fromEntries(values) as Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/** Methods of upstream that this server does not have: a clear word instead of a missing attribute. */
export function notOffered(table: Readonly<Record<string, readonly string[]>>): ManagerMethods {
	return Object.fromEntries(
		Object.entries(table).map(([name, parameters]): [string, ManagerMethod] => [
			name,
			{
				parameters,
				required: 0,
				doc: "Not offered by this server.",
				run: () => Promise.reject(new Error(`NotImplementedError: ${name} is not offered by this server`)),
			},
		]),
	);
}
