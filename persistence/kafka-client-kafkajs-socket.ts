/**
 * The socket under a connection of kafkajs. Owns its life: opened once for all who wait, closed at once, and whatever was
 * asked on it is told. What requests and answers are stays with kafkajs.
 *
 * Why not kafkajs' own: it keeps half an answer when a connection breaks and takes what the next one brings for the rest,
 * so that nobody ever gets an answer there again, or the process ends; it ends sockets that others have just opened,
 * without telling who asked on them; and it never leaves a line that swallows everything.
 */
import type { Socket } from "node:net";
import kafkajs from "kafkajs";

/** Milliseconds between looks for requests that nobody answered in their time. */
const OVERDUE_CHECK_MS = 100;
/** Every answer begins with its length. */
const LENGTH_BYTES = 4;

interface SentRequest {
	/** Milliseconds since 1970. */
	readonly sentAt: number | null;
	readonly requestTimeout: number;
	readonly entry: { readonly apiName: string };
}

/** kafkajs' own object of this name, as far as it is used here. */
export interface RawConnection {
	readonly host: string;
	readonly port: number;
	readonly ssl: object | null;
	readonly connectionTimeout: number;
	readonly socketFactory: (to: {
		host: string;
		port: number;
		ssl: object | null;
		onConnect: () => void;
	}) => Socket;
	readonly requestQueue: {
		readonly inflight: ReadonlyMap<number, SentRequest>;
		/** Ends its timers. */
		destroy(): void;
		rejectAll(error: Error): void;
	};
	/** While an older broker's login is under way. */
	readonly authHandlers: { onError(): void } | null;
	socket: Socket | undefined;
	connectionStatus: "connected" | "disconnected";
	authenticatedAt: unknown;
	chunks: Buffer[];
	bytesBuffered: number;
	bytesNeeded: number;
	connect(): Promise<true>;
	disconnect(): Promise<true>;
	processData(bytes: Buffer): void;
	logError(message: string): void;
}

/** From now on the connection's socket is opened and closed here. */
export function ownSocket(connection: RawConnection): void {
	let opening: Promise<true> | undefined;
	connection.connect = async () => {
		if (connection.connectionStatus === "connected") return true;
		opening ??= open(connection).finally(() => {
			opening = undefined;
		});
		return opening;
	};
	connection.disconnect = async () => {
		letGo(connection, failure(connection, "Closed connection"));
		return true;
	};
}

function open(connection: RawConnection): Promise<true> {
	const { host, port, ssl, connectionTimeout } = connection;
	return new Promise((resolve, reject) => {
		let cause: Error & { code?: string } = new Error("it was closed");
		const onConnect = () => {
			clearTimeout(opens);
			// Closed in the meantime.
			if (connection.socket !== socket) return;
			connection.connectionStatus = "connected";
			resolve(true);
		};
		const socket = connection.socketFactory({ host, port, ssl, onConnect });
		const opens = setTimeout(() => socket.destroy(new Error("Connection timeout")), connectionTimeout);
		const overdue = setInterval(() => leaveIfOverdue(connection, socket), OVERDUE_CHECK_MS);
		connection.socket = socket;
		socket.on("data", (bytes) => {
			if (connection.socket === socket) connection.processData(bytes);
		});
		socket.on("error", (error) => {
			cause = error;
		});
		socket.once("close", () => {
			clearTimeout(opens);
			clearInterval(overdue);
			const error = failure(connection, `Connection error: ${cause.message}`, cause.code);
			if (connection.socket === socket) {
				connection.logError(error.message);
				letGo(connection, error);
			}
			reject(error);
		});
	});
}

/** Nobody reads on a line where one answer is missing: those behind it would wait as long. */
function leaveIfOverdue(connection: RawConnection, socket: Socket): void {
	if (connection.socket !== socket) return;
	const { host, port, requestQueue } = connection;
	const isOverdue = ({ sentAt, requestTimeout }: SentRequest) =>
		sentAt !== null && Date.now() - sentAt > requestTimeout;
	const request = [...requestQueue.inflight.values()].find(isOverdue);
	if (!request) return;
	const text = `Request ${request.entry.apiName} timed out`;
	letGo(connection, new kafkajs.KafkaJSRequestTimeoutError(text, { broker: `${host}:${port}` } as never));
}

/** Before anybody can open the next one: nothing of this one is left, and who waits for an answer is told. */
function letGo(connection: RawConnection, error: Error): void {
	const { socket, requestQueue } = connection;
	connection.socket = undefined;
	connection.connectionStatus = "disconnected";
	connection.authenticatedAt = null;
	connection.chunks = [];
	connection.bytesBuffered = 0;
	connection.bytesNeeded = LENGTH_BYTES;
	socket?.destroy();
	requestQueue.destroy();
	requestQueue.rejectAll(error);
	connection.authHandlers?.onError();
}

function failure({ host, port }: RawConnection, message: string, code?: string): Error {
	return new kafkajs.KafkaJSConnectionError(message, { broker: `${host}:${port}`, ...(code && { code }) });
}
