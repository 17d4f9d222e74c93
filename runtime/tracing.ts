/**
 * Traces by OpenTelemetry's API: how a trace travels in records, and the spans of the runtime. Owns the header's form;
 * what is done with spans is up to the SDK that the program brings. Without one there is no Tracing at all.
 */
import {
	type Attributes,
	type Context,
	context,
	createTraceState,
	isSpanContextValid,
	ROOT_CONTEXT,
	type Span,
	SpanKind,
	SpanStatusCode,
	type Tracer,
	trace,
} from "@opentelemetry/api";
import { type PartitionId, partitionName } from "../persistence/log.ts";
import type { Address } from "./address.ts";
import type { Message } from "./message.ts";

/** Characters of a `tracestate` that is carried on; a longer one is left behind. */
const STATE_CHARACTERS_MAX = 512;
const TRACE_PARENT = /^(?!ff)[\da-f]{2}-([\da-f]{32})-([\da-f]{16})-([\da-f]{2})$/;

/** A span under way, and itself as the parent of what it leads to. */
export interface OpenSpan {
	readonly trace: string;
	/** `failure`: what went wrong, if anything did. */
	end(failure?: unknown): void;
}

export interface SpanStart {
	readonly name: string;
	readonly kind: SpanKind;
	readonly attributes: Attributes;
	/** As a record carries it. Default: the active span of the program; without one, a new trace begins. */
	readonly parent?: string | undefined;
}

export class Tracing {
	/** The span of the record that is being handled: set while its effects are carried out, which is done in one turn. */
	current: OpenSpan | undefined;
	readonly #tracer: Tracer;
	readonly #node: string;

	private constructor(tracer: Tracer, node: string) {
		this.#tracer = tracer;
		this.#node = node;
	}

	/** Undefined where no SDK has been registered up to now: then nothing is asked of the API any more. */
	static find(node: string): Tracing | undefined {
		const provider = trace.getTracerProvider();
		const registered =
			"getDelegateTracer" in provider && typeof provider.getDelegateTracer === "function"
				? (provider.getDelegateTracer("mycelog") as Tracer | undefined)
				: provider.getTracer("mycelog");
		return registered ? new Tracing(registered, node) : undefined;
	}

	start({ name, kind, attributes, parent }: SpanStart): OpenSpan {
		return openSpan(this.#begin({ name, kind, attributes, parent }));
	}

	/** A span around `run`, which finds it as the active one. */
	around<Result>(start: SpanStart, run: (trace: string) => Result): Result {
		const span = this.#begin(start);
		const open = openSpan(span);
		let result: Result;
		try {
			result = context.with(trace.setSpan(context.active(), span), () => run(open.trace));
		} catch (error) {
			open.end(error);
			throw error;
		}
		if (!(result instanceof Promise)) open.end();
		else
			result.then(
				() => open.end(),
				(error) => open.end(error ?? "rejected"),
			);
		return result;
	}

	/** A message from outside the actors, and what comes of it for who sent it. */
	call<Result>(
		what: "tell" | "ask",
		to: Address,
		type: string,
		run: (trace: string) => Promise<Result>,
	): Promise<Result> {
		const kind = what === "ask" ? SpanKind.CLIENT : SpanKind.PRODUCER;
		const attributes = { "mycelog.actor": to, "mycelog.type": type };
		return this.around({ name: `${what} ${type}`, kind, attributes }, run);
	}

	/** Of the program's active span, if there is one. */
	active(): string | undefined {
		const span = trace.getActiveSpan();
		return span && isSpanContextValid(span.spanContext()) ? textOf(span) : undefined;
	}

	/** A record is about to be handled; undefined: it is part of no trace. It is `current` until it ends. */
	process(message: Message, partition: PartitionId): OpenSpan | undefined {
		if (message.trace === undefined) return undefined;
		const attributes = { ...placeOf(message), "mycelog.partition": partitionName(partition) };
		const kind = SpanKind.CONSUMER;
		const span = this.start({ name: `process ${message.type}`, kind, attributes, parent: message.trace });
		const current: OpenSpan = {
			trace: span.trace,
			end: (failure) => {
				this.current = undefined;
				span.end(failure);
			},
		};
		this.current = current;
		return current;
	}

	/** A message from the actor that is being handled to another one, until it is in the log. */
	output(to: Address, type: string): OpenSpan | undefined {
		if (!this.current) return undefined;
		const attributes = { "mycelog.actor": to, "mycelog.type": type };
		return this.start({
			name: `tell ${type}`,
			kind: SpanKind.PRODUCER,
			attributes,
			parent: this.current.trace,
		});
	}

	/** What an actor asked for and runs on its own, until its end is on its way to the actor. */
	work(address: Address, src: string, parent: string): OpenSpan {
		const attributes = { "mycelog.actor": address, "mycelog.work": src };
		return this.start({ name: `work ${src}`, kind: SpanKind.INTERNAL, attributes, parent });
	}

	/** Run code that finds the span as the active one. */
	within<Result>({ trace: text }: OpenSpan, run: () => Result): Result {
		const within = contextOf(text);
		return within ? context.with(within, run) : run();
	}

	/** Something that has just been done with a message. Returns its own place in the trace. */
	mark(name: string, message: Message, attributes: Attributes = {}): string | undefined {
		const parent = this.current?.trace ?? message.trace;
		if (parent === undefined) return undefined;
		const all = { ...placeOf(message), ...attributes };
		const span = this.start({ name, kind: SpanKind.PRODUCER, attributes: all, parent });
		span.end();
		return span.trace;
	}

	#begin({ name, kind, attributes, parent }: SpanStart): Span {
		const within = (parent === undefined ? undefined : contextOf(parent)) ?? context.active();
		return this.#tracer.startSpan(
			name,
			{ kind, attributes: { ...attributes, "mycelog.node": this.#node } },
			within,
		);
	}
}

/** Of a request's headers, as a record carries it; undefined: there is none, or it is not well formed. */
export function traceIn(parent: string | undefined, state: string | undefined): string | undefined {
	if (parent === undefined || !TRACE_PARENT.test(parent)) return undefined;
	return state && state.length <= STATE_CHARACTERS_MAX ? `${parent} ${state}` : parent;
}

function openSpan(span: Span): OpenSpan {
	return {
		trace: textOf(span),
		end(failure) {
			if (failure !== undefined) {
				const message = failure instanceof Error ? `${failure.name}: ${failure.message}` : String(failure);
				span.setStatus({ code: SpanStatusCode.ERROR, message });
			}
			span.end();
		},
	};
}

function placeOf({ to, type, offset }: Message): Attributes {
	return { "mycelog.actor": to, "mycelog.type": type, "mycelog.offset": offset };
}

/** W3C `traceparent`, and `tracestate` behind a space where there is one. */
function textOf(span: Span): string {
	const { traceId, spanId, traceFlags, traceState } = span.spanContext();
	const state = traceState?.serialize();
	const parent = `00-${traceId}-${spanId}-${(traceFlags & 0xff).toString(16).padStart(2, "0")}`;
	return state && state.length <= STATE_CHARACTERS_MAX ? `${parent} ${state}` : parent;
}

function contextOf(text: string): Context | undefined {
	const space = text.indexOf(" ");
	const [, traceId = "", spanId = "", flags = ""] =
		TRACE_PARENT.exec(space < 0 ? text : text.slice(0, space)) ?? [];
	const traceState = space < 0 ? undefined : createTraceState(text.slice(space + 1));
	const spanContext = {
		traceId,
		spanId,
		traceFlags: Number.parseInt(flags, 16),
		isRemote: true,
		...(traceState ? { traceState } : undefined),
	};
	return isSpanContextValid(spanContext) ? trace.setSpanContext(ROOT_CONTEXT, spanContext) : undefined;
}
