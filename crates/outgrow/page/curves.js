// Which curves are shown, and their legend: the arms of a sweep, one trial, or trials beside each other.

import { draw, ink, valueAt } from "./chart.js";
import { $, ask, element, groups, objects, replace, sample } from "./elements.js";
import { AXES, choose, state } from "./state.js";
import { loss, rate, scaled, visible } from "./words.js";
import { drawTimelines } from "./timeline.js";

let drawn = null;
const complete = new Map();

export const forget = () => { drawn = null; };

// Whether this is something else than what is drawn: a zoom stays while nothing changes.
const isNew = (...shown) => {
  const { axis, x, y, rates, only } = state;
  const text = JSON.stringify([axis, x, y, rates, only, [...state.arms.values()].map((arm) => [arm.color, arm.learning_rate]), ...shown]);
  const changed = text !== drawn;
  drawn = text;
  return changed;
};

const several = (name) => new Set(state.rows.map((row) => row[name])).size > 1;

// The report's look of a strategy; its black is the ink of this page, which may be dark.
export const look = (strategy) => {
  const { color, dash } = state.arms.get(strategy) ?? { color: "#808080", dash: [] };
  return { colour: color === "#000000" ? ink() : color, dash };
};

export const shownName = (strategy) => state.arms.get(strategy)?.display ?? strategy;

// " @5e-3" where a sweep has several rates, the budget of its frontier, and the point of its grid.
const at = ({ learning_rate: learningRate, budget, setting }) =>
  `${several("learning_rate") ? ` @${rate(learningRate)}` : ""}${several("budget") ? ` at ${budget}` : ""}${setting ? ` ${setting}` : ""}`;
export const trialName = (row) => `${shownName(row.strategy)}${at(row)}, plan ${row.plan}, seed ${row.replicate}`;

// Whether a row is at the learning rate, and the budget, that its strategy is judged by; sizes of a frontier are no arms.
export const isTuned = (row) => {
  const arm = state.arms.get(row.strategy);
  if (!arm) return (row.budget ?? null) === null;
  return arm.learning_rate === row.learning_rate && (arm.setting === undefined || arm.setting === row.setting)
    && (arm.budget ?? null) === (row.budget ?? null);
};

const points = (rows, x, y) =>
  rows.filter((row) => row[x] !== null && row[y] !== null).map((row) => [row[x], row[y]]).sort((a, b) => a[0] - b[0]);

// Rates beside the tuned one are thin and pale.
const armCurve = (own, isThin) => {
  const tuned = isTuned(own[0]);
  return {
    strategy: own[0].strategy, row: own[0], name: own[0].arm, isThin, ...look(own[0].strategy),
    width: isThin ? 0.6 : tuned ? 2 : 1.1, alpha: tuned ? 1 : 0.55, points: points(own, state.axis, "val_loss"),
  };
};

const isShown = (row) => (state.rates === "all" || isTuned(row)) && (!state.only || row.strategy === state.only);

const legendEntry = (strategy, curves, isPressed) => {
  const name = shownName(strategy), single = curves.length === 1;
  const button = element("button", null, { "aria-pressed": String(isPressed), "data-key": strategy, title: isPressed ? "show all again" : "show it alone" },
    sample(look(strategy)), element("span", single ? `${name}${at(curves[0].row)}` : name));
  curves.forEach((curve) => {
    if (!single) button.append(element("small", at(curve.row), isTuned(curve.row) ? { class: "tuned" } : {}));
    button.append(element("output", "", { "data-curve": curve.name }));
  });
  button.onclick = () => choose({ only: isPressed ? null : strategy });
  return button;
};

const plainEntry = ({ name, ...style }) =>
  element("span", null, {}, sample(style), element("span", name), element("output", "", { "data-curve": name }));

// Writes the values under the pointer, or those at the end, into the legend.
const values = (curves) => (x) => {
  curves.filter(({ isThin }) => !isThin).forEach((curve) => {
    const into = [...$("legend").querySelectorAll("output")].find((found) => found.dataset.curve === curve.name);
    const value = valueAt(curve.points, x);
    if (into) into.textContent = value === null ? "" : loss(value);
  });
  $("where").textContent = x === null ? "at the end" : `at ${scaled(x)} ${AXES[state.axis]}`;
};

const show = (curves, marks) => {
  const hover = values(curves);
  draw({ curves, marks, labels: [AXES[state.axis], "nats per token"], x: state.x, y: state.y, hover });
  hover(null);
  $("chart").setAttribute("aria-label", `nats per token over ${AXES[state.axis]}: ${visible(curves.filter(({ isThin }) => !isThin).map(({ name }) => name).join(", "))}`);
};

// In the report's order; arms that it has not yet come last.
const order = (strategies) => {
  const known = [...state.arms.keys()];
  return [...known.filter((name) => strategies.has(name)), ...[...strategies.keys()].filter((name) => !known.includes(name))];
};

export const drawMeans = async () => {
  const answer = await ask("means", { sweep: state.sweep });
  if (!isNew(state.sweep, answer)) return;
  const rows = objects(answer).filter((row) => state.rates === "all" || isTuned(row));
  const longer = objects(answer.longer).filter(isShown);
  const means = [...groups(rows, (row) => row.arm).values()].map((own) => armCurve(own, false));
  const trials = [...groups(longer, (row) => row.member).values()].map((own) => armCurve(own, true));
  const byStrategy = groups(means, (curve) => curve.strategy);
  replace($("legend"), ...order(byStrategy).map((name) => legendEntry(name, byStrategy.get(name), state.only === name)));
  show([...means.filter(({ row }) => isShown(row)), ...trials], []);
  $("chart-title").textContent = "Validation loss, mean over trials";
  $("note").textContent = meansNote(rows, trials);
};

const meansNote = (rows, trials) => {
  if (!rows.length && !trials.length) return "nothing was evaluated yet";
  const most = rows.reduce((n, row) => Math.max(n, row.trials), 0);
  const ends = trials.length ? "; a mean ends where the first of its trials is, from there on the others are thin lines" : "";
  const rates = !several("learning_rate") ? "" : state.rates === "best" ? "; each arm at its best learning rate" : "; thick: each arm's best learning rate";
  return `up to ${most} trials in a mean${ends}${rates}; drag to zoom, double-click to see all again`;
};

const trialData = async (id) => {
  const row = state.rows.find((found) => found.trial === id);
  const known = complete.get(`${state.sweep}/${id}`);
  if (known) return known;
  const found = await ask("trial", { sweep: state.sweep, trial: id });
  if (row?.state === "complete") complete.set(`${state.sweep}/${id}`, found);
  return found;
};

// A trial with its rows as objects, and where its growths are on the horizontal axis.
const understood = ({ phases, trial, curves, steps, growth }, id) => {
  const rows = objects(curves), events = objects(growth), row = state.rows.find((found) => found.trial === id);
  // A growth is as late as the evaluation before it.
  const place = (event) =>
    (state.axis === "wall_seconds" ? rows.filter((found) => found.tokens <= event.tokens).at(-1)?.wall_seconds ?? 0 : event[state.axis]);
  return { id, row, rows, steps: objects(steps), events, phases, trial, place, name: row ? trialName(row) : id };
};

export const drawTrials = async () => {
  const ids = [...new Set([...(state.trial ? [state.trial] : []), ...state.pins])];
  const answers = await Promise.all(ids.map(trialData));
  if (!isNew(ids, answers)) return;
  const all = answers.map((answer, i) => understood(answer, ids[i]));
  const curves = all.map(({ name, row, rows }, i) => ({
    name, ...look(row?.strategy), dash: [[], [7, 4], [2, 3]][i], width: 2, points: points(rows, state.axis, "val_loss"),
  }));
  const training = all.length > 1 ? [] : [{ name: "training loss", colour: "#999999", dash: [3, 3], points: points(all[0].steps, state.axis, "loss") }];
  const marks = all.flatMap(({ events, place }, i) =>
    events.map((event) => ({ at: place(event), name: `↑ ${scaled(event.parameters_after)}`, colour: all.length > 1 ? curves[i].colour : "#808080" })));
  replace($("legend"), ...[...curves, ...training].map(plainEntry));
  show([...training, ...curves], marks);
  $("chart-title").textContent = all.length > 1 ? "Validation loss of trials beside each other" : visible(all[0].name);
  $("note").textContent = trialsNote(all);
  drawTimelines(all);
};

const trialsNote = (all) => {
  if (all.length === 1) return `trial ${visible(all[0].id)}, ${all[0].events.length} growth events so far; a dashed line is a growth, with the parameters after it`;
  const [a, b] = all.map(({ rows }) => rows.at(-1)?.val_loss ?? null);
  const gap = a === null || b === null ? "" : `the first's last loss is ${loss(Math.abs(a - b))} ${a < b ? "below" : "above"} the second's; `;
  return `${gap}a dashed line is a growth, with the parameters after it`;
};
