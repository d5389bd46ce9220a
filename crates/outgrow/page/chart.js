// Curves in one pair of axes, drawn by uPlot.

import { $ } from "./elements.js";
import { loss, logTicks, scaled, visible } from "./words.js";

/* global uPlot */
const FONT = "12px system-ui";
let plot = null;

export const ink = () => getComputedStyle(document.body).color;
const height = () => (innerWidth < 600 ? 280 : 400);

// Colours with an opacity, as a canvas takes them.
const faded = (colour, alpha = 1) =>
  (colour.startsWith("#") ? colour + Math.round(255 * alpha).toString(16).padStart(2, "0") : colour.replace(/^rgb\((.*)\)$/, `rgba($1, ${alpha})`));

const verticals = (marks) => (u) => {
  const { ctx, bbox } = u, unit = devicePixelRatio;
  ctx.save();
  ctx.textAlign = "left";
  ctx.setLineDash([4 * unit, 4 * unit]);
  ctx.font = `${11 * unit}px system-ui`;
  marks.forEach(({ at, name, colour = "#808080" }, i) => {
    const x = u.valToPos(at, "x", true);
    if (!(x >= bbox.left && x <= bbox.left + bbox.width)) return;
    ctx.strokeStyle = colour;
    ctx.fillStyle = ink();
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.fillText(visible(name), x + 4 * unit, bbox.top + (12 + 14 * (i % 4)) * unit);
  });
  ctx.restore();
};

// The range of losses from this share of the horizontal axis on: what decides.
const endRange = (curves, share) => {
  const xs = curves.flatMap(({ points }) => points.map((p) => p[0]));
  const from = Math.min(...xs) + share * (Math.max(...xs) - Math.min(...xs));
  const ys = curves.flatMap(({ points }) => points.filter((p) => p[0] >= from).map((p) => p[1]));
  const [low, high] = [Math.min(...ys), Math.max(...ys)], margin = 0.05 * (high - low) || 0.1;
  return [low - margin, high + margin];
};

const vertical = (curves, kind) => {
  if (kind === "log") return { distr: 3, range: (_, low, high) => [low / 1.02, high * 1.02] };
  if (kind !== "end") return {};
  const range = endRange(curves, 0.4);
  // A zoom by the mouse has its own range.
  return { range: (u, low, high) => (u.select?.width > 0 ? [low, high] : range) };
};

const axis = (label, isLog) => {
  const grid = { stroke: "#8883", width: 1 };
  const own = { label, stroke: ink(), grid, ticks: grid, font: FONT, labelFont: FONT };
  return isLog ? { ...own, splits: (_u, _i, low, high) => logTicks(low, high), filter: (_, ticks) => ticks } : own;
};

const series = ({ name, colour, dash, width = 1.7, alpha }) => ({
  label: visible(name), stroke: faded(colour, alpha), width, dash, spanGaps: true, points: { show: false }, value: (_, y) => loss(y),
});

const options = ({ curves, marks, labels, x, y, hover }) => ({
  width: $("chart").clientWidth, height: height(), legend: { show: false },
  scales: { x: { time: false, ...(x === "log" ? { distr: 3, range: (_, low, high) => [low, high] } : {}) }, y: vertical(curves, y) },
  axes: [{ ...axis(labels[0], x === "log"), values: (_, values) => values.map(scaled) },
    { ...axis(labels[1], y === "log"), values: (_, values) => values.map((value) => String(+value.toPrecision(4))) }],
  series: [{ label: labels[0] }, ...curves.map(series)],
  cursor: { focus: { prox: 24 }, drag: { x: true, y: true, uni: 30 } },
  focus: { alpha: 0.3 },
  hooks: { draw: [verticals(marks)], setCursor: [(u) => hover(u.cursor.idx === null ? null : u.data[0][u.cursor.idx])] },
});

// Curves (each a name, points, a colour and dashes), marks (vertical lines with a name), the labels of the axes, whether they are
// linear, logarithmic or, upwards, at the "end"; `hover` hears where the pointer is.
export const draw = ({ curves, ...rest }) => {
  const isShown = rest.x === "log" ? ([x, y]) => x > 0 && y > 0 : ([, y]) => y > 0 || rest.y !== "log";
  const shown = curves.map((curve) => ({ ...curve, points: curve.points.filter(isShown) })).filter(({ points }) => points.length);
  plot?.destroy();
  plot = null;
  $("chart").replaceChildren();
  if (!shown.length) return;
  const data = uPlot.join(shown.map(({ points }) => [points.map((p) => p[0]), points.map((p) => p[1])]));
  plot = new uPlot(options({ ...rest, curves: shown }), data, $("chart"));
};

export const resize = () => plot?.setSize({ width: $("chart").clientWidth, height: height() });

// The last value of a curve at or before `x`; its end without one.
export const valueAt = (points, x) =>
  (x === null ? points.at(-1) : points.filter((point) => point[0] <= x).at(-1))?.[1] ?? null;
