/** A figure over the last minutes, drawn by uPlot as it grows. Owns its size and colours; the figures are the page's. */
import { useEffect, useRef } from "preact/hooks";
import uPlot from "uplot";
import "uplot/dist/uPlot.min.css";
import { onThemeChange } from "../theme.ts";
import { rate } from "../words.ts";

const HEIGHT = 110;
/** Seconds that are drawn at least, so that the first minutes do not race by. */
const SECONDS_MIN = 60;

export interface LiveChartProps {
	readonly title: string;
	readonly unit: string;
	/** Seconds since 1970. */
	readonly times: readonly number[];
	readonly values: readonly (number | null)[];
	readonly tone?: "accent" | "bad";
}

export function LiveChart({ title, unit, times, values, tone = "accent" }: LiveChartProps) {
	const place = useRef<HTMLDivElement>(null);
	const plot = useRef<uPlot | undefined>(undefined);
	const data = [[...times], [...values]] as uPlot.AlignedData;
	const latest = useRef(data);
	latest.current = data;
	useEffect(() => {
		const element = place.current as HTMLDivElement;
		const draw = () => {
			plot.current?.destroy();
			plot.current = new uPlot(
				optionsOf(element, tone, () => latest.current[0] as readonly number[]),
				latest.current,
				element,
			);
		};
		draw();
		const sized = new ResizeObserver(() => {
			plot.current?.setSize({ width: element.clientWidth, height: HEIGHT });
		});
		sized.observe(element);
		const forget = onThemeChange(draw);
		return () => {
			forget();
			sized.disconnect();
			plot.current?.destroy();
		};
	}, [tone]);
	useEffect(() => {
		plot.current?.setData(data);
	});
	const newest = values.at(-1);
	return (
		<figure class="live-chart">
			<figcaption>
				<span>{title}</span>
				<strong>
					{typeof newest === "number" ? rate(newest) : "–"} <small>{unit}</small>
				</strong>
			</figcaption>
			<div ref={place} aria-hidden="true" />
		</figure>
	);
}

function optionsOf(element: HTMLElement, tone: string, times: () => readonly number[]): uPlot.Options {
	const font = `11px ${getComputedStyle(element).fontFamily}`;
	// The variable itself holds the colours of both themes: only one in use is the one of now.
	const colour = (name: string) => {
		element.style.color = `var(--${name})`;
		const { color } = getComputedStyle(element);
		element.style.color = "";
		return color;
	};
	const axis = {
		stroke: colour("text-soft"),
		font,
		grid: { stroke: colour("line-soft"), width: 1 },
		ticks: { show: false },
	};
	return {
		width: element.clientWidth,
		height: HEIGHT,
		legend: { show: false },
		cursor: { show: false },
		padding: [8, 26, 0, 0],
		scales: {
			x: {
				// Of one point alone the library would make a day.
				range: () => {
					const newest = times().at(-1) ?? Date.now() / 1_000;
					return [Math.min(times()[0] ?? newest, newest - SECONDS_MIN), newest];
				},
			},
			y: { range: (_, __, max) => [0, Math.max(1, (max ?? 0) * 1.1)] },
		},
		axes: [
			{ ...axis, size: 22, space: 80, values: (_, splits) => splits.map(clockOf) },
			{ ...axis, size: 38, space: 28, values: (_, splits) => splits.map((value) => rate(value)) },
		],
		series: [
			{},
			{
				stroke: colour(tone),
				fill: colour(`${tone}-faint`),
				width: 1.5,
				points: { show: false },
			},
		],
	};
}

function clockOf(seconds: number): string {
	const date = new Date(seconds * 1_000);
	return [date.getHours(), date.getMinutes(), date.getSeconds()]
		.map((part) => String(part).padStart(2, "0"))
		.join(":");
}
