/**
 * The Kafka port on @platformatic/kafka: its connections and its encoding of single requests, without its clients. Owns
 * leaders and brokers as of the newest metadata, a deadline for each request, and which version of each request is sent:
 * those that brokers from 2.8 to 4.x know.
 */
import type * as Library from "@platformatic/kafka";
import type {
	ClusterBroker,
	ClusterOptions,
	FetchRequest,
	FoundTopic,
	GroupCoordinator,
	JoinRequest,
	JoinResponse,
	KafkaCluster,
	NewTopic,
	ProduceBatch,
	ProducerIdentity,
} from "./kafka-cluster.ts";
import { fetchedOf, partialAnswer, protocolError, toError } from "./kafka-platformatic-forms.ts";
import { type ProduceApi, produceApi } from "./kafka-platformatic-produce.ts";
import type { PartitionBounds } from "./log.ts";

const READ_COMMITTED = 1;
const EARLIEST = -2n;
const LATEST = -1n;
/** Kafka's numbers for settings of topics and for coordinators of groups. */
const TOPIC_RESOURCE = 2;
const GROUP_COORDINATOR = 0;
const UNKNOWN_TOPIC = 3;
/** Fetches without a session, and without claims about epochs. */
const NO_SESSION = 0;
const FIRST_EPOCH = -1;
/** Requests on one connection that wait for answers; a broker works on one after the other. */
const IN_FLIGHT_MAX = 64;
/** The library's own deadline, milliseconds, is out of the way: each request has one of its own here. */
const LIBRARY_DEADLINE_MS = 2 ** 31 - 1;
/** A join is answered when everybody has joined, milliseconds on top of the time they have. */
const JOIN_SLACK_MS = 5_000;

type Api<Arguments extends unknown[], Answer> = {
	async(connection: Library.Connection, ...args: Arguments): Promise<Answer>;
};

interface Address {
	readonly host: string;
	readonly port: number;
}

interface Topic {
	readonly name: string;
	readonly errorCode: number;
	readonly partitions: readonly {
		readonly partitionIndex: number;
		readonly leaderId: number;
		readonly replicaNodes: readonly number[];
	}[];
}

/** Fetches hold a connection while they wait, so they have their own. */
type Lane = "fetch" | "other";

export class PlatformaticCluster implements KafkaCluster {
	readonly #options: ClusterOptions;
	#library: typeof Library | undefined;
	#produceApi: ProduceApi | undefined;
	#lanes: Readonly<Record<Lane, Library.ConnectionPool>> | undefined;
	readonly #wanted = new Set<string>();
	#brokers = new Map<number, Address>();
	#topics = new Map<string, Topic>();
	#refreshing: Promise<void> | undefined;

	constructor(options: ClusterOptions) {
		this.#options = options;
	}

	static async load(): Promise<void> {
		await import("@platformatic/kafka");
	}

	async connect(): Promise<void> {
		await this.#open();
		await this.refreshMetadata();
	}

	async disconnect(): Promise<void> {
		const lanes = this.#lanes;
		this.#lanes = undefined;
		await Promise.all(Object.values(lanes ?? {}).map((pool) => pool.close()));
	}

	refreshMetadata(): Promise<void> {
		this.#refreshing ??= this.#refresh().finally(() => {
			this.#refreshing = undefined;
		});
		return this.#refreshing;
	}

	async addTargetTopic(topic: string): Promise<void> {
		this.#wanted.add(topic);
		await this.refreshMetadata();
		// One under way before did not ask for it.
		if (!this.#topics.has(topic)) await this.refreshMetadata();
		if (this.#topics.has(topic)) return;
		this.#wanted.delete(topic);
		throw protocolError("UNKNOWN_TOPIC_OR_PARTITION", `there is no topic ${topic}`, true);
	}

	findLeaderForPartitions(topic: string, partitions: readonly number[]): Record<string, number[]> {
		const leaders: Record<string, number[]> = {};
		for (const { partitionIndex, leaderId } of this.#topics.get(topic)?.partitions ?? []) {
			if (!partitions.includes(partitionIndex)) continue;
			leaders[leaderId] ??= [];
			leaders[leaderId]?.push(partitionIndex);
		}
		return leaders;
	}

	findTopicPartitionMetadata(topic: string): readonly unknown[] {
		return this.#topics.get(topic)?.partitions ?? [];
	}

	async findBroker({ nodeId }: { nodeId: string }): Promise<ClusterBroker> {
		const address = this.#brokers.get(Number(nodeId));
		if (!address) throw new Error(`broker ${nodeId} is not in the metadata`);
		return {
			fetch: (request) => this.#fetch(address, request),
			produce: (producer, batches) => this.#produce(address, producer, batches),
		};
	}

	async findGroupCoordinator({ groupId }: { groupId: string }): Promise<GroupCoordinator> {
		const { findCoordinatorV3 } = await this.#open();
		const { coordinators } = await this.#ask(findCoordinatorV3.api, GROUP_COORDINATOR, [groupId]);
		const [found] = coordinators;
		if (found?.errorCode !== 0) throw new Error(found?.errorMessage ?? `group ${groupId} has no coordinator`);
		return this.#coordinator(found);
	}

	async bounds(topic: string, partition: number): Promise<PartitionBounds> {
		const at = (timestamp: bigint) => this.#offset(topic, partition, timestamp);
		const [start, end] = await Promise.all([at(EARLIEST), at(LATEST)]);
		return { start, end };
	}

	async offsetAt(topic: string, partition: number, timestamp: number): Promise<number | undefined> {
		const offset = await this.#offset(topic, partition, BigInt(timestamp));
		return offset < 0 ? undefined : offset;
	}

	async deleteRecords(topic: string, partition: number, before: number): Promise<void> {
		const { deleteRecordsV2 } = await this.#open();
		const topics = [{ name: topic, partitions: [{ partitionIndex: partition, offset: BigInt(before) }] }];
		const leader = this.#leader(topic, partition);
		await this.#send(leader, deleteRecordsV2.api, topics, this.#options.requestMs);
	}

	async #offset(topic: string, partition: number, timestamp: bigint): Promise<number> {
		const { listOffsetsV6 } = await this.#open();
		const partitions = [{ partitionIndex: partition, currentLeaderEpoch: FIRST_EPOCH, timestamp }];
		const asked = [{ name: topic, partitions }];
		const leader = this.#leader(topic, partition);
		const { topics } = await this.#send(leader, listOffsetsV6.api, FIRST_EPOCH, READ_COMMITTED, asked);
		return Number(topics[0]?.partitions[0]?.offset);
	}

	#leader(topic: string, partition: number): Address {
		const leader = Object.keys(this.findLeaderForPartitions(topic, [partition]))[0];
		const address = this.#brokers.get(Number(leader));
		if (!address) throw new Error(`partition ${topic}/${partition} has no leader`);
		return address;
	}

	async newProducer(): Promise<ProducerIdentity> {
		const { initProducerIdV4 } = await this.#open();
		const { requestMs } = this.#options;
		const given = await this.#ask(initProducerIdV4.api, null, requestMs, -1n, -1);
		return { id: String(given.producerId), epoch: given.producerEpoch };
	}

	async countBrokers(): Promise<number> {
		await this.refreshMetadata();
		return this.#brokers.size;
	}

	async describeTopics(names: readonly string[]): Promise<readonly FoundTopic[]> {
		const { topics } = await this.#metadata(names);
		const existing = topics.filter(({ errorCode }) => errorCode !== UNKNOWN_TOPIC);
		return existing.map(({ name, partitions }) => ({
			name,
			partitions: partitions.map(({ leaderId, replicaNodes }) => ({
				leader: leaderId,
				replicas: replicaNodes,
			})),
		}));
	}

	async listTopics(prefix: string): Promise<string[]> {
		const { topics } = await this.#metadata(null);
		return topics.map(({ name }) => name).filter((name) => name.startsWith(prefix));
	}

	async deleteTopics(names: readonly string[], timeoutMs: number): Promise<void> {
		const { deleteTopicsV4 } = await this.#open();
		for (const name of names) {
			await this.#ask(deleteTopicsV4.api, [{ name }], timeoutMs).catch((error: Error & { type?: string }) => {
				if (error.type !== "UNKNOWN_TOPIC_OR_PARTITION") throw error;
			});
		}
	}

	async createTopics(topics: readonly NewTopic[], timeoutMs: number): Promise<void> {
		const { createTopicsV5 } = await this.#open();
		const asked = topics.map(({ name, partitions, replicationFactor, settings }) => ({
			name,
			numPartitions: partitions,
			replicationFactor,
			assignments: [],
			configs: Object.entries(settings).map(([name, value]) => ({ name, value })),
		}));
		try {
			await this.#ask(createTopicsV5.api, asked, timeoutMs, false);
		} catch (error) {
			const { errors = [error] } = (error as Error).cause as { errors?: unknown[] };
			const other = errors.map(toError).find(({ type }) => type !== "TOPIC_ALREADY_EXISTS");
			if (other) throw other;
		}
	}

	async topicSettings(
		topics: readonly string[],
		settings: readonly string[],
	): Promise<Map<string, Record<string, string>>> {
		const { describeConfigsV4 } = await this.#open();
		const asked = topics.map((resourceName) => ({
			resourceType: TOPIC_RESOURCE as Library.ConfigResourceTypeValue,
			resourceName,
			configurationKeys: [...settings],
		}));
		const { results } = await this.#ask(describeConfigsV4.api, asked, false, false);
		return new Map(
			results.map(({ resourceName, configs }) => [
				resourceName,
				Object.fromEntries(configs.map(({ name, value }) => [name, value ?? ""])),
			]),
		);
	}

	async #fetch(address: Address, { maxWaitMs, maxBytes, partitions }: FetchRequest) {
		const { fetchV12 } = await this.#open();
		const byTopic = Map.groupBy(partitions, ({ topic }) => topic);
		const asked = new Map(partitions.map(({ topic, partition, from }) => [`${topic}/${partition}`, from]));
		const topics = [...byTopic].map(([topicId, of]) => ({
			topicId,
			partitions: of.map(({ partition, from, maxBytes }) => ({
				partition,
				currentLeaderEpoch: FIRST_EPOCH,
				fetchOffset: BigInt(from),
				lastFetchedEpoch: FIRST_EPOCH,
				partitionMaxBytes: maxBytes,
			})),
		}));
		const how = { lane: "fetch", ms: maxWaitMs + this.#options.requestMs } as const;
		const session = [NO_SESSION, FIRST_EPOCH] as const;
		const { responses } = await this.#call(address, how, (connection) =>
			fetchV12.api.async(connection, maxWaitMs, 1, maxBytes, READ_COMMITTED, ...session, topics, [], ""),
		);
		return responses.flatMap(({ topicId: topic, partitions }) =>
			partitions.map(({ partitionIndex, records, lastStableOffset }) => {
				const from = asked.get(`${topic}/${partitionIndex}`) ?? 0;
				return fetchedOf(topic, partitionIndex, records ?? [], from, Number(lastStableOffset));
			}),
		);
	}

	async #produce(
		address: Address,
		producer: ProducerIdentity,
		batches: readonly ProduceBatch[],
	): Promise<(number | Error)[]> {
		const { ProtocolError } = await this.#open();
		const sent = this.#send(
			address,
			this.#produceApi as ProduceApi,
			producer,
			batches,
			this.#options.requestMs,
		);
		// With an error of one partition come the answers of the others.
		const { responses } = await sent.catch((error: Error) => partialAnswer<Awaited<typeof sent>>(error));
		const answers = new Map(
			responses.flatMap(({ name, partitionResponses }) =>
				partitionResponses.map((of) => [`${name}/${of.index}`, of] as const),
			),
		);
		return batches.map(({ topic, partition }) => {
			const of = answers.get(`${topic}/${partition}`);
			if (!of) return new Error(`no answer for ${topic}/${partition}`);
			if (of.errorCode === 0) return Number(of.baseOffset);
			return toError(new ProtocolError(of.errorCode, of.errorMessage));
		});
	}

	async #coordinator(address: Address): Promise<GroupCoordinator> {
		const library = await this.#open();
		const { joinGroupV7, syncGroupV4, heartbeatV4, leaveGroupV4, describeGroupsV5 } = library;
		return {
			joinGroup: (request) => this.#join(address, joinGroupV7.api, request),
			syncGroup: async ({ groupId, generationId, memberId, groupAssignment }) => {
				const given = groupAssignment.map(({ memberId, memberAssignment }) => {
					return { memberId, assignment: memberAssignment };
				});
				const member = [groupId, generationId, memberId, null, null, null] as const;
				const { assignment } = await this.#send(address, syncGroupV4.api, ...member, given);
				return { memberAssignment: assignment };
			},
			heartbeat: ({ groupId, groupGenerationId, memberId }) =>
				this.#send(address, heartbeatV4.api, groupId, groupGenerationId, memberId, null),
			leaveGroup: ({ groupId, memberId }) => this.#send(address, leaveGroupV4.api, groupId, [{ memberId }]),
			describeGroups: ({ groupIds }) => this.#send(address, describeGroupsV5.api, [...groupIds], false),
		};
	}

	async #join(
		address: Address,
		api: typeof Library.joinGroupV7.api,
		request: JoinRequest,
	): Promise<JoinResponse> {
		const { groupId, sessionTimeout, rebalanceTimeout, protocolType, groupProtocols } = request;
		const how = { lane: "other", ms: Math.max(sessionTimeout, rebalanceTimeout) + JOIN_SLACK_MS } as const;
		const as = (memberId: string) =>
			this.#call(address, how, (connection) => {
				const times = [sessionTimeout, rebalanceTimeout] as const;
				return api.async(connection, groupId, ...times, memberId, null, protocolType, [...groupProtocols]);
			});
		const joined = await as(request.memberId).catch((error: Error & { type?: string }) => {
			// A new member is told its id first, and joins under it.
			if (error.type !== "MEMBER_ID_REQUIRED") throw error;
			return as(partialAnswer<{ memberId: string }>(error).memberId);
		});
		const { generationId, leader, memberId, members } = joined;
		const known = members.map(({ memberId, metadata }) => ({ memberId, memberMetadata: metadata }));
		return { generationId, leaderId: leader, memberId, members: known };
	}

	async #refresh(): Promise<void> {
		const { brokers, topics } = await this.#metadata([...this.#wanted]);
		this.#brokers = new Map(brokers.map(({ nodeId, host, port }) => [nodeId, { host, port }]));
		const known = topics.filter(({ errorCode }) => errorCode !== UNKNOWN_TOPIC);
		this.#topics = new Map(known.map((topic) => [topic.name, topic]));
	}

	/** Errors are those of its topics, told with each. `names`: null for all. */
	async #metadata(names: readonly string[] | null): Promise<Library.metadataV9.MetadataResponse> {
		const { metadataV9 } = await this.#open();
		return this.#ask(metadataV9.api, names && [...names], false, false, false).catch((error: Error) => {
			return partialAnswer<Library.metadataV9.MetadataResponse>(error);
		});
	}

	/** Of any broker: those that are known first, then the addresses given; the next one where one does not answer. */
	async #ask<Arguments extends unknown[], Answer>(
		api: Api<Arguments, Answer>,
		...args: Arguments
	): Promise<Answer> {
		let last: Error = new Error("there is no broker to ask");
		for (const address of this.#askable()) {
			try {
				return await this.#send(address, api, ...args);
			} catch (error) {
				last = error as Error & { type?: string };
				// It did answer.
				if ((error as { type?: string }).type !== undefined) throw error;
				this.#options.addresses.failed(`${address.host}:${address.port}`);
			}
		}
		throw last;
	}

	#askable(): Address[] {
		const known = [...this.#brokers.values()];
		const from = Math.floor(Math.random() * known.length);
		const given = this.#options.addresses.order.map(addressOf).filter(({ port, host }) => {
			return !known.some((one) => one.host === host && one.port === port);
		});
		return [...known.slice(from), ...known.slice(0, from), ...given];
	}

	#send<Arguments extends unknown[], Answer>(
		address: Address,
		api: Api<Arguments, Answer>,
		...args: Arguments
	): Promise<Answer> {
		const how = { lane: "other", ms: this.#options.requestMs } as const;
		return this.#call(address, how, (connection) => api.async(connection, ...args));
	}

	/** A connection on which an answer is late is given up: nothing behind it would be answered either. */
	async #call<Answer>(
		address: Address,
		{ lane, ms }: { readonly lane: Lane; readonly ms: number },
		request: (connection: Library.Connection) => Promise<Answer>,
	): Promise<Answer> {
		await this.#open();
		const pool = this.#lanes?.[lane];
		if (!pool) throw new Error("the connections to Kafka were closed");
		let timer: NodeJS.Timeout | undefined;
		try {
			const connection = await pool.get(address);
			const late = new Promise<never>((_, reject) => {
				timer = setTimeout(() => {
					reject(new Error(`${address.host}:${address.port} did not answer within ${ms} ms`));
					connection.socket.destroy();
				}, ms);
			});
			return await Promise.race([request(connection), late]);
		} catch (error) {
			throw toError(error);
		} finally {
			clearTimeout(timer);
		}
	}

	/** Loaded when it is needed: most nodes use another library. */
	async #open(): Promise<typeof Library> {
		this.#library ??= await import("@platformatic/kafka");
		this.#produceApi ??= produceApi(this.#library);
		this.#lanes ??= { fetch: this.#pool(this.#library), other: this.#pool(this.#library) };
		return this.#library;
	}

	#pool({ ConnectionPool }: typeof Library): Library.ConnectionPool {
		const { clientId, security, connectMs, onDebug } = this.#options;
		const { tls, sasl } = security;
		const pool = new ConnectionPool(clientId, {
			connectTimeout: connectMs,
			requestTimeout: LIBRARY_DEADLINE_MS,
			maxInflights: IN_FLIGHT_MAX,
			...(tls && { tls: { ...tls } }),
			...(sasl && { sasl: { ...sasl } }),
		});
		pool.on("connecting", ({ connection }) => {
			// Whoever asked is told by its request.
			connection.on("error", (error: Error) => onDebug?.(toError(error).message, {}));
		});
		return pool;
	}
}

function addressOf(broker: string): Address {
	const [, host = "", port] = /^\[?(.*?)\]?:(\d+)$/.exec(broker) ?? [];
	return { host, port: Number(port) };
}
