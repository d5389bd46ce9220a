// A trial's plan: its stages as bars, and what each changes.

import { $, element } from "./elements.js";
import { counted, percent, scaled } from "./words.js";

// Darker is larger.
const shade = (parameters, most) => `color-mix(in srgb, var(--mark) ${Math.round(18 + 62 * parameters / most)}%, var(--paper))`;

const bar = (name, phases, share, most, done) => {
  const parts = phases.map((phase) => element("i", phase[share] > 0.08 ? scaled(phase.parameters) : "", {
    style: `flex: ${phase[share]} 1 0; background: ${shade(phase.parameters, most)}`,
    title: `${scaled(phase.parameters)} parameters: ${percent(phase[share])} of the ${name}`,
  }));
  const line = element("div", null, { class: "bars", role: "img", "aria-label": `share of the ${name}: ${phases.map((phase) => `${scaled(phase.parameters)} parameters ${percent(phase[share])}`).join(", ")}` }, ...parts);
  if (done !== null && done < 1) line.append(element("b", "", { style: `left: ${100 * done}%`, title: `${percent(done)} of the ${name} so far` }));
  return element("div", null, { class: "lane" }, element("span", name), line);
};

// One box for each layer, the input's at the left; new ones are filled.
const layers = (flags) => {
  const fresh = flags.map((isNew, i) => (isNew ? i : null)).filter((i) => i !== null);
  const words = fresh.length ? `new: ${fresh.join(", ")} of 0 to ${flags.length - 1}` : `${flags.length} layers`;
  const boxes = flags.length <= 64 ? flags.map((isNew) => element("i", "", isNew ? { class: "new" } : {})) : [];
  return element("td", null, {}, element("span", null, { class: "layers", "aria-hidden": "true" }, ...boxes), element("small", words));
};

const moved = (phase, number, events) => {
  if (number === 0) return "";
  const event = events.find((found) => found.stage === number - 1) ?? events.find((found) => found.tokens === phase.from);
  return event ? (event.error === null ? "not a number" : event.error.toExponential(1)) : "to come";
};

const HEADER = ["from token", "tokens", "compute", "parameters", "grows by", "sizes", "layers", "logits moved by"];
const NUMBERS = [0, 1, 2, 3, 7];

const stages = (phases, events) => {
  const cell = (content, i) => (content instanceof Node ? content : element("td", content, NUMBERS.includes(i) ? { class: "n" } : {}));
  const head = element("tr", null, {}, ...HEADER.map((name, i) => element("th", name, { scope: "col", ...(NUMBERS.includes(i) ? { class: "n" } : {}) })));
  const rows = phases.map((phase, number) => element("tr", null, {}, ...[
    scaled(phase.from), percent(phase.tokens_share), percent(phase.flops_share), scaled(phase.parameters),
    counted(phase.growths) || (number ? "" : "begins"),
    number ? phase.changes.join(", ") : phase.size, layers(phase.layers), moved(phase, number, events),
  ].map(cell)));
  return element("div", null, { class: "wide" }, element("table", null, {}, element("thead", null, {}, head), element("tbody", null, {}, ...rows)));
};

const timeline = ({ name, phases, events, row }, isOneOfMany) => {
  if (!phases.length) return element("p", "its plan can't be read");
  const most = Math.max(...phases.map((phase) => phase.parameters)), end = phases.at(-1).until;
  const flops = phases.reduce((sum, phase) => {
    const trained = Math.min(Math.max((row?.tokens ?? 0) - phase.from, 0), phase.until - phase.from);
    return sum + (phase.until > phase.from ? phase.flops_share * trained / (phase.until - phase.from) : 0);
  }, 0);
  const done = row ? (row.tokens ?? 0) / end : null;
  return element("div", null, { class: "timeline" }, ...(isOneOfMany ? [element("h3", name)] : []),
    bar("tokens", phases, "tokens_share", most, done), bar("compute", phases, "flops_share", most, row ? flops : null), stages(phases, events));
};

export const drawTimelines = (all) => $("plan").replaceChildren(...all.map((one) => timeline(one, all.length > 1)));
