/**
 * The real OpenTelemetry SDK, keeping the spans of this test file in memory. Import it before a node is made: that is
 * when a node looks for an SDK.
 */
import { context, type SpanContext, trace } from "@opentelemetry/api";
import { AsyncLocalStorageContextManager } from "@opentelemetry/context-async-hooks";
import {
	InMemorySpanExporter,
	type ReadableSpan,
	SimpleSpanProcessor,
	TracerProvider,
} from "@opentelemetry/sdk-trace";

const exporter = new InMemorySpanExporter();
context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
trace.setGlobalTracerProvider(
	new TracerProvider({ spanProcessors: [new SimpleSpanProcessor({ exporter })] }),
);

export const tracer = trace.getTracer("test");

/** Ended so far. */
export function spans(): readonly ReadableSpan[] {
	return exporter.getFinishedSpans();
}

export function spansOf(traceId: string): readonly ReadableSpan[] {
	return spans().filter((span) => span.spanContext().traceId === traceId);
}

export function forgetSpans(): void {
	exporter.reset();
}

/** Names from a root, or from a parent outside, down to this span. */
export function pathOf(span: ReadableSpan): string[] {
	const parent = parentOf(span);
	return parent ? [...pathOf(parent), span.name] : [span.name];
}

export function parentOf(span: ReadableSpan): ReadableSpan | undefined {
	const id = (span.parentSpanContext as SpanContext | undefined)?.spanId;
	return spans().find((other) => other.spanContext().spanId === id);
}
