/** Where boxes and arrows of a statechart are, by elkjs in a worker. Owns sizes of texts and the layout's options. */
import ELK, { type ElkExtendedEdge, type ElkNode } from "elkjs/lib/elk-api.js";
import workerUrl from "elkjs/lib/elk-worker.min.js?url";
import type { Arrow, Box, Drawing } from "./model.ts";

/** As in style/chart.css. */
const NAME_FONT = "600 14px system-ui, sans-serif";
const LINE_FONT = "12px system-ui, sans-serif";
export const NAME_HEIGHT = 30;
export const LINE_HEIGHT = 16;
const PADDING = 14;
const BOX_WIDTH_MIN = 76;

const OPTIONS = {
	"elk.algorithm": "layered",
	"elk.direction": "DOWN",
	"elk.hierarchyHandling": "INCLUDE_CHILDREN",
	"elk.edgeRouting": "ORTHOGONAL",
	"elk.layered.spacing.nodeNodeBetweenLayers": "34",
	"elk.spacing.nodeNode": "34",
	"elk.spacing.edgeNode": "18",
	"elk.spacing.edgeEdge": "14",
	"elk.spacing.edgeLabel": "4",
	"elk.layered.considerModelOrder.strategy": "PREFER_EDGES",
	"elk.layered.nodePlacement.strategy": "NETWORK_SIMPLEX",
	"elk.layered.edgeLabels.sideSelection": "ALWAYS_DOWN",
	"elk.json.edgeCoords": "ROOT",
	"elk.json.shapeCoords": "ROOT",
	"elk.padding": "[top=8,left=8,bottom=8,right=8]",
} as const;

export interface Place {
	readonly x: number;
	readonly y: number;
	readonly width: number;
	readonly height: number;
}

export interface Layout {
	readonly width: number;
	readonly height: number;
	/** Outer ones before those in them. */
	readonly boxes: readonly { readonly box: Box; readonly place: Place }[];
	readonly arrows: readonly {
		readonly arrow: Arrow;
		/** Of an SVG path. */
		readonly path: string;
		readonly label: Place | undefined;
	}[];
}

let elk: InstanceType<typeof ELK> | undefined;
let brush: CanvasRenderingContext2D | null | undefined;

/** Loads the worker, so that the first chart does not wait for it. */
export function prepareLayout(): InstanceType<typeof ELK> {
	elk ??= new ELK({ workerFactory: () => new Worker(workerUrl) });
	return elk;
}

export async function layoutOf(drawing: Drawing): Promise<Layout> {
	const graph: ElkNode = {
		id: "chart",
		layoutOptions: OPTIONS,
		children: drawing.boxes.map(nodeOf),
		edges: drawing.arrows.map(edgeOf),
	};
	const placed = await prepareLayout().layout(graph);
	const places = new Map<string, Place>();
	collect(placed, places);
	const boxes = [...boxesIn(drawing.boxes)].map((box) => ({ box, place: places.get(box.id) as Place }));
	const edges = new Map((placed.edges ?? []).map((edge) => [edge.id, edge]));
	const arrows = drawing.arrows.map((arrow) => {
		const edge = edges.get(arrow.id) as ElkExtendedEdge;
		return { arrow, path: pathOf(edge), label: edge.labels?.[0] as Place | undefined };
	});
	return { width: placed.width ?? 0, height: placed.height ?? 0, boxes, arrows };
}

function nodeOf(box: Box): ElkNode {
	const { id, kind, lines, inner } = box;
	if (kind === "start") return { id, width: 12, height: 12 };
	const linesHeight = lines.length > 0 ? lines.length * LINE_HEIGHT + 8 : 0;
	const widths = [textWidth(box.label, NAME_FONT), ...lines.map((line) => textWidth(line, LINE_FONT))];
	const width = Math.max(BOX_WIDTH_MIN, Math.max(...widths) + 2 * PADDING);
	const height = NAME_HEIGHT + linesHeight;
	if (inner.length === 0) return { id, width, height };
	return {
		id,
		children: inner.map(nodeOf),
		layoutOptions: {
			"elk.padding": `[top=${height + 10},left=${PADDING},bottom=${PADDING},right=${PADDING}]`,
			"elk.nodeSize.constraints": "MINIMUM_SIZE",
			"elk.nodeSize.minimum": `(${width},${height})`,
		},
	};
}

function edgeOf({ id, from, to, lines }: Arrow): ElkExtendedEdge {
	const width = Math.max(0, ...lines.map((line) => textWidth(line, LINE_FONT))) + 8;
	const label = { text: lines.join("\n"), width, height: lines.length * LINE_HEIGHT + 4 };
	return {
		id,
		sources: [from],
		targets: [to],
		...(lines.length > 0
			? { labels: [{ ...label, layoutOptions: { "elk.edgeLabels.inline": "true" } }] }
			: undefined),
	};
}

function collect(node: ElkNode, places: Map<string, Place>): void {
	const { id, x = 0, y = 0, width = 0, height = 0 } = node;
	places.set(id, { x, y, width, height });
	for (const child of node.children ?? []) collect(child, places);
}

function* boxesIn(boxes: readonly Box[]): Generator<Box> {
	for (const box of boxes) {
		yield box;
		yield* boxesIn(box.inner);
	}
}

/** Corners are rounded. */
function pathOf({ sections = [] }: ElkExtendedEdge): string {
	return sections
		.map(({ startPoint, bendPoints = [], endPoint }) => {
			const points = [startPoint, ...bendPoints, endPoint];
			return points
				.map(({ x, y }, i) => {
					const before = points[i - 1];
					const after = points[i + 1];
					if (!before) return `M${x} ${y}`;
					if (!after) return `L${x} ${y}`;
					const start = toward({ x, y }, before);
					const end = toward({ x, y }, after);
					return `L${start.x} ${start.y}Q${x} ${y} ${end.x} ${end.y}`;
				})
				.join("");
		})
		.join("");
}

const CORNER = 6;

function toward(from: { x: number; y: number }, to: { x: number; y: number }): { x: number; y: number } {
	const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
	const part = Math.min(CORNER, length / 2) / length;
	return { x: from.x + (to.x - from.x) * part, y: from.y + (to.y - from.y) * part };
}

function textWidth(text: string, font: string): number {
	brush ??= document.createElement("canvas").getContext("2d");
	if (!brush) return text.length * 8;
	brush.font = font;
	return Math.ceil(brush.measureText(text).width);
}
