/** Claims of a process that hands its partitions over and goes on taking what its clients send, on a real broker. */
import { randomBytes } from "node:crypto";
import { expect, inject, onTestFinished, test } from "vitest";
import { type PartitionOwner, partitionName } from "../../persistence/log.ts";
import { KafkaLog } from "../../persistence/log-kafka.ts";
import { CONTRACT_TOPICS, many, numbers, readAll, texts } from "./log-contract.ts";

const TOPICS = CONTRACT_TOPICS.map(({ name }) => name);
const PARTITIONS = CONTRACT_TOPICS.reduce((sum, { partitions }) => sum + partitions, 0);
const ACTORS = { topic: "actors", partition: 1 };

class Owner implements PartitionOwner {
	readonly owned = new Set<string>();
	readonly released: string[] = [];
	names: readonly string[] = [];
	#wanted: { readonly check: () => boolean; readonly done: () => void } | undefined;

	async assigned(id: { topic: string; partition: number }): Promise<number> {
		this.owned.add(partitionName(id));
		this.#look();
		return 0;
	}

	async revoked(id: { topic: string; partition: number }, how: string): Promise<void> {
		this.owned.delete(partitionName(id));
		this.released.push(how);
	}

	members(names: readonly string[]): void {
		this.names = names;
		this.#look();
	}

	until(check: () => boolean): Promise<void> {
		return new Promise((done) => {
			this.#wanted = { check, done };
			this.#look();
		});
	}

	records(): void {}

	#look(): void {
		if (this.#wanted?.check()) this.#wanted.done();
	}
}

async function opened(prefix: string): Promise<KafkaLog> {
	const brokers = inject("kafkaBrokers").split(",");
	const log = new KafkaLog({ brokers, prefix, clientId: "test" });
	onTestFinished(() => log.close(5_000));
	await log.open(CONTRACT_TOPICS);
	return log;
}

function member(id: string) {
	return { id, name: `${id}~1`, since: 1 };
}

test("what a process hands over the other owns, while its own appends go on and it is counted until it closes", async () => {
	const prefix = `test-${randomBytes(6).toString("hex")}`;
	const [first, second] = [await opened(prefix), await opened(prefix)];
	const [one, two] = [new Owner(), new Owner()];
	await first.own(TOPICS, one, member("first"));
	await second.own(TOPICS, two, member("second"));
	await two.until(() => two.owned.size === PARTITIONS / 2);
	await one.until(() => one.names.length === 2);

	await first.handOver();
	expect(one.owned.size).toBe(0);
	expect(new Set(one.released)).toEqual(new Set(["handed-over"]));
	await two.until(() => two.owned.size === PARTITIONS);
	expect([...two.names].sort()).toEqual(["first~1", "second~1"]);
	await first.append(ACTORS, many(10));
	expect(texts(await readAll(first, ACTORS))).toEqual(numbers(10));

	const alone = two.until(() => two.names.length === 1);
	await first.close(5_000);
	await alone;
	expect(two.names).toEqual(["second~1"]);
	expect(two.owned.size).toBe(PARTITIONS);
});

test("a process that is alone keeps its partitions: nobody else would serve them", async () => {
	const log = await opened(`test-${randomBytes(6).toString("hex")}`);
	const owner = new Owner();
	await log.own(TOPICS, owner, member("only"));
	await log.handOver();
	expect(owner.owned.size).toBe(PARTITIONS);
	await log.close(5_000);
	expect(owner.owned.size).toBe(0);
});
