/**
 * Mycelog as a library: log, snapshots, actors and gateway put together, without a process around them.
 * Owns the order of start and stop; signals, exit codes and the banner are start.ts.
 */
import { randomBytes } from "node:crypto";
import { GatewayOutlets, GatewayServer } from "../gateway/server.ts";
import { rootTokenProblem, Tokens } from "../gateway/tokens.ts";
import { endsWithin } from "../persistence/deadline.ts";
import { MycelogError } from "../persistence/errors.ts";
import { HistoryIndexStore } from "../persistence/history-index.ts";
import { SqliteSnapshots } from "../persistence/snapshots-sqlite.ts";
import { lockDirectory } from "../persistence/sqlite-database.ts";
import { systemClock } from "../runtime/clock.ts";
import type { ActorDefinition } from "../runtime/define-actor.ts";
import { EmbeddedActors, type EmbeddedActorsParts } from "../runtime/embedded-actors.ts";
import { EventBus, EventOutlets } from "../runtime/event-bus.ts";
import { HistoryIndex } from "../runtime/history-index.ts";
import type { Logger } from "../runtime/logger.ts";
import { Node } from "../runtime/node.ts";
import { StallWatch } from "../runtime/stall-watch.ts";
import { BEHAVIOURS } from "./behaviours.ts";
import { nodeIdOf, type Secrets, secretsOf } from "./data-directory.ts";
import { checkSurroundings, completeConfig } from "./embedder-options.ts";
import { logOf } from "./log-driver.ts";
import { createLogger } from "./logger.ts";
import { requireNativeModule } from "./native-modules.ts";
import type { Config } from "./options.ts";
import { VERSION } from "./version.ts";

export { MycelogError } from "../persistence/errors.ts";
export type { Secrets } from "./data-directory.ts";
export type { Config } from "./options.ts";

/** How often a node that catches up is asked whether it has, milliseconds. */
const READY_CHECK_EVERY_MS = 10;

/** Part of the shutdown deadline that is planned with; the rest is for what no timer bounds. */
const STOP_SHARE = 0.9;
/** Part of it for the hand-over: with a broker that does not answer it would take all. */
const HAND_OVER_SHARE = 0.25;
/** Part of it for the handlers of read models that are at work. */
const PROJECTIONS_SHARE = 0.25;

/** What an embedder gives beside the options. */
export interface Surroundings<Actors extends readonly ActorDefinition[] = readonly []> {
	/** Where the secrets are looked up. Default: process.env. */
	readonly environment?: Readonly<Partial<Record<string, string>>>;
	/** Default: pino to stderr, as `logLevel` and `logFormat` say. */
	readonly logger?: Logger;
	/** This process has lost its node's place for good and has stopped: `node.succeeded`, `node.forgotten`. Default: logged. */
	readonly onPlaceLost?: (error: MycelogError) => void;
	/** Actors of the embedder's own, beside those of the gateway. Default: none. */
	readonly actors?: Actors;
}

/**
 * A node that is put together but not started. Options that are left out have their defaults. Rejects with
 * `config.unknown-option` and `config.invalid-value`, naming the option.
 */
export async function createMycelog<const Actors extends readonly ActorDefinition[] = readonly []>(
	options: Partial<Config> = {},
	surroundings: Surroundings<Actors> = {},
): Promise<Mycelog<Actors>> {
	const config = completeConfig(options);
	checkSurroundings(surroundings);
	const { environment = process.env, logger: given, onPlaceLost, actors } = surroundings;
	await requireNativeModule("better-sqlite3");
	await requireNativeModule("uWebSockets.js");
	const secrets = secretsOf(config, environment);
	const problem = secrets.rootToken && rootTokenProblem(secrets.rootToken);
	if (problem) throw new MycelogError("config.invalid-value", problem);
	const logger = given ?? createLogger(config);
	return Mycelog.create<Actors>(
		config,
		secrets,
		logger,
		onPlaceLost ?? ((err) => logger.error({ err }, err.message)),
		actors ?? [],
	);
}

/** A node with its gateway, and the actors of its embedder. Made by `createMycelog`. */
export class Mycelog<
	const Actors extends readonly ActorDefinition[] = readonly ActorDefinition[],
> extends EmbeddedActors<Actors> {
	readonly config: Config;
	/** Between the programs that embed nodes of this cluster; clients have no part in it. */
	readonly events: EventBus;
	readonly #gateway: GatewayServer;
	readonly #logger: Logger;
	readonly #unlock: () => void;
	readonly #stallWatch: StallWatch;
	#stopped: Promise<void> | undefined;
	/** It listens, so that there may be clients. */
	#serving = false;

	private constructor(
		config: Config,
		parts: EmbeddedActorsParts,
		events: EventBus,
		gateway: GatewayServer,
		unlock: () => void,
	) {
		super(parts);
		this.config = config;
		this.#logger = parts.logger;
		this.events = events;
		this.#gateway = gateway;
		this.#unlock = unlock;
		this.#stallWatch = new StallWatch(parts.node, parts.logger);
	}

	/** Of options that are complete. `createMycelog` fills in the defaults. */
	static async create<Actors extends readonly ActorDefinition[]>(
		config: Config,
		secrets: Secrets,
		logger: Logger,
		onPlaceLost: (error: MycelogError) => void,
		actors: Actors | readonly [],
	): Promise<Mycelog<Actors>> {
		const id = nodeIdOf(config);
		const cluster = config.kafkaUri !== undefined;
		if (cluster && secrets.jwtSecretIsLocal) {
			logger.warn(
				{ directory: config.dataDir },
				"the token secret was generated by this node: give all nodes of the cluster the same MYCELOG_JWT_SECRET",
			);
		}
		// The embedded log locks its directory itself; beside Kafka only snapshots and node id lie here.
		const lock = cluster ? lockDirectory(config.dataDir) : undefined;
		const log = await logOf(config, {
			clientId: id,
			readOnly: false,
			kafkaSaslPassword: secrets.kafkaSaslPassword,
			logger,
		});
		const outlets = new GatewayOutlets();
		const eventOutlets = new EventOutlets(outlets);
		const snapshots = new SqliteSnapshots({ directory: config.dataDir });
		const { partitions } = config;
		const boot = randomBytes(6).toString("base64url");
		const node = new Node({
			id,
			boot,
			log,
			snapshots,
			behaviours: [...BEHAVIOURS, ...actors.map(({ behaviour }) => behaviour)],
			partitions,
			outlets: eventOutlets,
			logger,
			cluster,
			clientsRetentionMs: config.clientsRetentionMs,
			acceptLostRecords: config.acceptLostRecords === "on",
			standbyReplicas: config.standbyReplicas,
			onPlaceLost: (error) => void mycelog.stop().finally(() => onPlaceLost(error)),
		});
		const { jwtSecret: secret, rootToken } = secrets;
		const tokens = new Tokens({ secret, rootToken, issuer: issuerOf(config), now: Date.now });
		const { host, port, publicUrl, basePath, connectionsMax, resumeWindowMs, messagesPerSecondMax } = config;
		const gatewayOptions = {
			host,
			port,
			publicUrl,
			basePath,
			connectionsMax,
			limits: {
				clientsPerWorkspace: config.clientsPerWorkspaceMax,
				connectionsPerUser: config.connectionsPerUserMax,
			},
			messagesPerSecondMax,
			httpRequestsPerSecondMax: config.httpRequestsPerSecondMax,
			proxyHops: config.proxyHops,
			idleTimeoutMs: config.idleTimeoutMs,
			resumeWindowMs,
			version: VERSION,
		};
		// States on the way are of use to this process alone: the next one may have other actors' code.
		const historyIndex = new HistoryIndex(new HistoryIndexStore(config.dataDir), boot);
		const { dataDir } = config;
		const gatewayParts = { node, outlets, tokens, historyIndex, dataDir, logger, options: gatewayOptions };
		const gateway = await GatewayServer.create(gatewayParts);
		const events = new EventBus({ node, outlets: eventOutlets, logger });
		const types = actors.map(({ type }) => type);
		const parts = { node, snapshots, partitions, types, clock: systemClock, logger };
		const mycelog: Mycelog<Actors> = new Mycelog(config, parts, events, gateway, () => {
			historyIndex.close();
			lock?.close();
		});
		return mycelog;
	}

	/** As clients reach it; call after `start`. */
	get url(): string {
		return this.#gateway.url;
	}

	/** The port it listens on; call after `start`. */
	get port(): number {
		return this.#gateway.port;
	}

	/** Resolves when it listens; clients are let in once `ready` resolves. A failed start leaves nothing open. */
	async start(): Promise<void> {
		try {
			await this.node.start();
			await this.#gateway.listen();
			this.#serving = true;
			this.#stallWatch.start();
		} catch (error) {
			await this.stop();
			throw error;
		}
	}

	/** Resolves when every owned partition has caught up with the log. */
	async ready(): Promise<void> {
		while (!this.node.ready && !this.#stopped) {
			await new Promise((resolve) => setTimeout(resolve, READY_CHECK_EVERY_MS));
		}
	}

	/** Hand over, send clients away and store everything. Idempotent; ends within `deadlineMs`. */
	stop(deadlineMs = this.config.shutdownDeadlineMs): Promise<void> {
		this.#stopped ??= this.#stop(deadlineMs);
		return this.#stopped;
	}

	/**
	 * Clients are told to go when others have the partitions: they find them served wherever they come back. The others
	 * still count this node until then, and what its clients send meanwhile goes to the log like everything before.
	 */
	async #stop(deadlineMs: number): Promise<void> {
		const since = Date.now();
		const endsAt = since + deadlineMs * STOP_SHARE;
		const leftMs = () => Math.max(endsAt - Date.now(), 0);
		this.#gateway.takeNoMore();
		this.#stallWatch.stop();
		await this.stopProjections(leftMs() * PROJECTIONS_SHARE);
		const handedOver = await endsWithin(leftMs() * HAND_OVER_SHARE, this.node.handOver());
		const drainMs = Math.min(this.config.drainMs, leftMs() / 2);
		const fields = { handedOver, afterMs: Date.now() - since, drainMs };
		if (this.#serving) this.#logger.info(fields, "sending clients away");
		await this.#gateway.drain(drainMs);
		this.events.stop();
		await this.node.stop(leftMs());
		this.#gateway.close();
		this.#unlock();
	}
}

/** Either all three are given or none. */
function issuerOf({ issuer, issuerAudience: audience, issuerJwksUri: jwksUri }: Config) {
	return issuer && audience && jwksUri ? { issuer, audience, jwksUri } : undefined;
}
