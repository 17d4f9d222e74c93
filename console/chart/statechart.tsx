/** A statechart as a picture, with the active states lit and the way the last event took. Owns the drawing. */
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Chart } from "../api-types.ts";
import { Failed, Waiting } from "../parts/states.tsx";
import { type Layout, LINE_HEIGHT, layoutOf, NAME_HEIGHT, type Place } from "./layout.ts";
import { type Active, detailAtFirst, drawingOf, wasTaken } from "./model.ts";

/** Below it the texts could not be read; a larger picture is scrolled. */
const SCALE_MIN = 0.85;
const SCALE_MAX = 1.15;
/** Pixels of the view, as in style/chart.css. */
const HEIGHT_MAX = 512;

export interface StatechartProps {
	readonly chart: Chart;
	readonly active: Active;
	/** Type of the event that led there, and what was active before it. */
	readonly step?: { readonly event: string; readonly before: Active } | undefined;
}

export function Statechart({ chart, active, step }: StatechartProps) {
	const form = JSON.stringify(chart);
	const [detail, setDetail] = useState(() => detailAtFirst(chart));
	const [whole, setWhole] = useState(false);
	const drawing = useMemo(() => drawingOf(chart, detail), [form, detail]);
	const [layout, setLayout] = useState<Layout>();
	const [error, setError] = useState<Error>();
	const view = useRef<HTMLElement>(null);
	const [room, setRoom] = useState(0);
	useEffect(() => {
		let current = true;
		layoutOf(drawing).then(
			(made) => current && setLayout(made),
			(reason) => current && setError(reason as Error),
		);
		return () => {
			current = false;
		};
	}, [drawing]);
	useEffect(() => {
		const element = view.current as HTMLElement;
		const sized = new ResizeObserver(() => setRoom(element.clientWidth));
		sized.observe(element);
		return () => sized.disconnect();
	}, []);
	const key = [...active].join(" ");
	useEffect(() => {
		const lit = view.current?.querySelector(".state-box.active.leaf");
		if (lit && view.current) showIn(view.current, lit);
	}, [key, layout, room]);
	return (
		<div class="statechart">
			<section
				class="statechart-view"
				ref={view}
				// biome-ignore lint/a11y/noNoninteractiveTabindex: a large picture is scrolled with the arrow keys
				tabIndex={0}
				aria-label="Statechart, scrolls"
			>
				{error && <Failed error={error} what="the picture of the statechart" />}
				{!layout && !error && <Waiting what="the picture of the statechart" />}
				{layout && room > 0 && <Picture {...{ layout, room, active, step, whole }} />}
			</section>
			<div class="row chart-options">
				{drawing.everywhere.length > 0 && (
					<p class="soft everywhere">In every state: {drawing.everywhere.join(", ")}</p>
				)}
				<label class="check">
					<input
						type="checkbox"
						checked={detail === "all"}
						onChange={(event) => setDetail(event.currentTarget.checked ? "all" : "some")}
					/>
					All events
				</label>
				<label class="check">
					<input
						type="checkbox"
						checked={whole}
						onChange={(event) => setWhole(event.currentTarget.checked)}
					/>
					Whole chart
				</label>
			</div>
		</div>
	);
}

interface PictureProps extends Pick<StatechartProps, "active" | "step"> {
	readonly layout: Layout;
	readonly room: number;
	/** As small as it must be to be seen whole. */
	readonly whole: boolean;
}

function Picture({ layout, room, active, step, whole }: PictureProps) {
	const { width, height, boxes, arrows } = layout;
	const fitting = Math.min(room / width, whole ? HEIGHT_MAX / height : SCALE_MAX);
	const scale = Math.min(SCALE_MAX, whole ? fitting : Math.max(SCALE_MIN, fitting));
	const names = boxes.filter(({ box }) => active.has(box.id)).map(({ box }) => box.label);
	return (
		<svg
			role="img"
			aria-label={`Statechart; active: ${names.join(", ") || "none"}`}
			viewBox={`0 0 ${width} ${height}`}
			width={width * scale}
			height={height * scale}
		>
			<defs>
				{["", "taken"].map((kind) => (
					<marker
						key={kind}
						id={`head${kind}`}
						class={`arrow-head ${kind}`}
						viewBox="0 0 8 8"
						refX="7"
						refY="4"
						markerWidth="8"
						markerHeight="8"
						markerUnits="userSpaceOnUse"
						orient="auto"
					>
						<path d="M0 0L8 4L0 8z" />
					</marker>
				))}
			</defs>
			{boxes.map(({ box, place }) => {
				if (box.kind === "start") return <Start key={box.id} {...place} />;
				const leaf = !box.inner.some(({ id }) => active.has(id));
				const kinds = `${box.kind} ${active.has(box.id) ? `active ${leaf ? "leaf" : ""}` : ""}`;
				return (
					<g key={box.id} class={`state-box ${kinds}`} data-state={box.id}>
						<rect {...place} rx={box.kind === "any" ? place.height / 2 : 7} />
						{box.kind === "final" && <rect class="final-line" {...inset(place)} rx={5} />}
						<text class="name" x={place.x + place.width / 2} y={place.y + 20}>
							{box.label}
						</text>
						{box.lines.map((line, i) => (
							<text
								key={line}
								class="line"
								x={place.x + place.width / 2}
								y={place.y + NAME_HEIGHT + (i + 0.75) * LINE_HEIGHT}
							>
								{line}
							</text>
						))}
					</g>
				);
			})}
			{arrows.map(({ arrow, path, label }) => {
				const taken = step !== undefined && wasTaken(arrow, step.event, step.before, active);
				return (
					<g key={arrow.id} class={`arrow ${taken ? "taken" : ""}`}>
						<path d={path} marker-end={`url(#head${taken ? "taken" : ""})`} />
						{label && (
							<>
								<rect {...bounds(label)} rx={3} />
								{arrow.lines.map((line, i) => (
									<text key={line} x={label.x + label.width / 2} y={label.y + (i + 0.8) * LINE_HEIGHT}>
										{line}
									</text>
								))}
							</>
						)}
					</g>
				);
			})}
		</svg>
	);
}

function Start({ x, y, width, height }: Place) {
	return <circle class="start" cx={x + width / 2} cy={y + height / 2} r={width / 2} />;
}

function inset({ x, y, width, height }: Place): Place {
	return { x: x + 3, y: y + 3, width: width - 6, height: height - 6 };
}

function bounds({ x, y, width, height }: Place): Place {
	return { x, y, width, height };
}

/** Scrolls the view alone: the page stays where the operator has it. */
function showIn(view: HTMLElement, part: Element): void {
	const outer = view.getBoundingClientRect();
	const inner = part.getBoundingClientRect();
	const past = (from: number, to: number, low: number, high: number) =>
		from < low ? from - low : to > high ? to - high : 0;
	view.scrollLeft += past(inner.left, inner.right, outer.left + 16, outer.right - 16);
	view.scrollTop += past(inner.top, inner.bottom, outer.top + 16, outer.bottom - 16);
}
