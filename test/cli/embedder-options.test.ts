/** What programs without types may get wrong in their options: named before anything is opened. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { completeConfig } from "../../cli/embedder-options.ts";
import { createMycelog } from "../../cli/node.ts";
import { OPTION_KEYS, OPTIONS } from "../../cli/options.ts";
import type { ActorDefinition } from "../../runtime/define-actor.ts";
import { createNode } from "../../runtime/embedded-node.ts";
import { MemoryLog } from "../../testing/memory-log.ts";
import { MemorySnapshots } from "../../testing/memory-snapshots.ts";
import { temporaryDirectory } from "../kit/runtime-node.ts";

const directory = temporaryDirectory();
afterAll(() => directory.remove());

describe("createMycelog names the option, what it found and what may be:", () => {
	const dataDir = join(directory.path, "untouched");
	test.each([
		[{ kafkaUri: "broker:9092" }, 'kafkaUri cannot be "broker:9092": it must be a list of texts'],
		[{ kafkaUri: [9092] }, "kafkaUri cannot be [9092]: it must be brokers such as host:9092"],
		[{ kafkaUri: [["broker:9092"]] }, 'kafkaUri cannot be [["broker:9092"]]: it must be a list of texts'],
		[{ port: "9527" }, 'port cannot be "9527": it must be a number'],
		[{ port: 65_536 }, "port cannot be 65536: it must be a whole number from 0 to 65535"],
		[{ partitions: 1.5 }, "partitions cannot be 1.5: it must be a whole number from 1 to 1024"],
		[{ nodeId: 7 }, "nodeId cannot be 7: it must be a text"],
		[{ dataDir: null }, "dataDir cannot be null: it must be a text"],
		[{ kafkaTls: true }, "kafkaTls cannot be true: it must be one of on, off"],
		[{ publicUrl: new URL("http://x.example") }, "publicUrl cannot be an object: it must be a text"],
		[{ logLevel: () => "info" }, "logLevel cannot be a function: it must be one of trace, debug"],
	])("%o", async (options, words) => {
		const made = createMycelog({ dataDir, ...options } as never, { environment: {} });
		await expect(made).rejects.toMatchObject({
			code: "config.invalid-value",
			message: expect.stringContaining(`createMycelog: ${words}`),
			details: { option: Object.keys(options)[0] },
		});
		expect(existsSync(dataDir)).toBe(false);
	});

	test.each([
		[{ kafkaURIs: [] }, {}, 'no option "kafkaURIs", did you mean "kafkaUri"?'],
		[{ datadir: "x" }, {}, 'no option "datadir", did you mean "dataDir"?'],
		[{ prot: 1 }, {}, 'no option "prot", did you mean "port"?'],
		[{ colour: "blue" }, {}, 'no option "colour"; known: host, port'],
		[{ actors: [] }, {}, 'no option "actors", it belongs into the second argument'],
		[{}, { port: 1 }, 'no option "port", it belongs into the first argument'],
		[{}, { actor: [] }, 'no option "actor", did you mean "actors"?'],
	])("%o and %o", async (options, surroundings, words) => {
		const made = createMycelog({ dataDir, ...options } as never, surroundings as never);
		await expect(made).rejects.toMatchObject({
			code: "config.unknown-option",
			message: expect.stringContaining(`createMycelog has ${words}`),
		});
		expect(existsSync(dataDir)).toBe(false);
	});

	test.each([
		[{ actors: [{ type: "card" }] }, "actors cannot be [an object]: it must be a list, each what"],
		[
			{ logger: console.log },
			"logger cannot be a function: it must be a logger (with debug, info, warn, error)",
		],
		[{ onPlaceLost: "exit" }, 'onPlaceLost cannot be "exit": it must be a function'],
	])("%o", async (surroundings, words) => {
		await expect(createMycelog({ dataDir }, surroundings as never)).rejects.toMatchObject({
			code: "config.invalid-value",
			message: expect.stringContaining(`createMycelog: ${words}`),
		});
	});
});

test("options that are left out or undefined have their defaults, and every default is a value that may be given", () => {
	const defaults = Object.fromEntries(OPTION_KEYS.map((key) => [key, OPTIONS[key].fallback]));
	expect(completeConfig({})).toEqual(defaults);
	expect(completeConfig({ port: undefined } as never)).toEqual(defaults);
	expect(completeConfig(completeConfig({}))).toEqual(defaults);
	const kafkaUri = ["kafka://a:9092", "b:9092"];
	expect(completeConfig({ kafkaUri })).toMatchObject({ kafkaUri: ["a:9092", "b:9092"] });
});

describe("createNode names the option, what it found and what may be:", () => {
	const log = new MemoryLog();
	const snapshots = new MemorySnapshots().open();
	const actors: readonly ActorDefinition[] = [];
	test.each([
		[{ log, snapshots }, "config.invalid-value", "createNode: actors cannot be undefined: it must be a list"],
		[{ log, snapshots, actors: {} }, "config.invalid-value", "actors cannot be an object"],
		[
			{ log: {}, snapshots, actors },
			"config.invalid-value",
			"log cannot be an object: it must be a log (with",
		],
		[{ log, snapshots, actors, partitions: "4" }, "config.invalid-value", 'partitions cannot be "4"'],
		[{ log, snapshots, actors, partition: 4 }, "config.unknown-option", 'did you mean "partitions"?'],
		[undefined, "config.invalid-value", "createNode takes its options as an object, not undefined"],
	])("%o", (options, code, words) => {
		expect(() => createNode(options as never)).toThrow(
			expect.objectContaining({ code, message: expect.stringContaining(words) }),
		);
	});
});
