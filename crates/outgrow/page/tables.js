// Tables that can be sorted: the arms of a sweep, its trials, its workers.

import { isTuned, look, shownName, trialName } from "./curves.js";
import { $, element, replace, sample } from "./elements.js";
import { address, choose, pinned, state } from "./state.js";
import { interval, loss, percent, rate, scaled, sorted } from "./words.js";

const MOST_ROWS = 500;
// By which column each table is sorted, and whether downwards.
const sorting = { arms: ["final loss", false], trials: ["loss", false] };

const heading = (name, column, again) => {
  const [by, isFalling] = sorting[name] ?? [];
  const own = by === column.name;
  const head = element("th", null, { scope: "col", class: column.isNumber ? "n" : "", "aria-sort": own ? (isFalling ? "descending" : "ascending") : "none" });
  if (!column.value) head.append(element("span", column.name));
  else {
    const button = element("button", column.name, { "data-key": column.name, title: column.title ?? "sort by this" }, element("i", own ? (isFalling ? "▾" : "▴") : "", { "aria-hidden": "true" }));
    button.onclick = () => { sorting[name] = [column.name, own && !isFalling]; again(); };
    head.append(button);
  }
  return head;
};

// Columns are {name, cell(row), value(row) to sort by, isNumber}.
const sortable = (name, columns, rows, again) => {
  const [by, isFalling] = sorting[name] ?? [];
  const column = columns.find((found) => found.name === by);
  const shown = (column?.value ? sorted(rows, column.value, isFalling) : rows).slice(0, MOST_ROWS);
  const cell = (row) => ({ cell, isNumber }) => {
    const content = cell(row);
    return element("td", content instanceof Node ? null : content, { class: isNumber ? "n" : "" }, ...(content instanceof Node ? [content] : []));
  };
  const lines = shown.map((row) => element("tr", null, { class: row.trial ? "trial" : "", ...(isChosen(row) ? { "aria-current": "true" } : {}) }, ...columns.map(cell(row))));
  if (!lines.length) lines.push(element("tr", null, {}, element("td", "none", { colspan: columns.length })));
  const head = element("tr", null, {}, ...columns.map((one) => heading(name, one, again)));
  replace($(name), element("thead", null, {}, head), element("tbody", null, {}, ...lines));
};

const isChosen = (row) => (row.trial ? row.trial === state.trial || state.pins.includes(row.trial) : row.strategy === state.only);
const link = (text, change, style) => {
  const made = element("a", null, { href: address(change), "data-key": text }, ...(style ? [sample(style)] : []));
  made.append(element("span", text));
  return made;
};

const several = (name) => new Set(state.rows.map((row) => row[name])).size > 1;

const signed = (x) => `${x < 0 ? "−" : "+"}${Math.abs(x).toFixed(3)}`;

const saved = (arm) => (arm.saving ? `${arm.is_upper_bound ? "≤ " : ""}${interval(arm.saving, percent)}` : arm.strategy === state.control ? "control" : "–");

const ratesColumn = { name: "rate", isNumber: true, value: (arm) => arm.learning_rate,
  cell: (arm) => `${rate(arm.learning_rate)}${arm.is_at_the_edge ? " (edge)" : ""}`, title: "the best learning rate; edge: the lowest or highest that was tried" };

const armColumns = () => [
  { name: "arm", value: (arm) => shownName(arm.strategy), cell: (arm) => link(shownName(arm.strategy), { trial: null, pins: [], only: state.only === arm.strategy ? null : arm.strategy }, look(arm.strategy)) },
  ...(several("learning_rate") ? [ratesColumn] : []),
  { name: "trials", isNumber: true, value: (arm) => arm.complete, cell: (arm) => `${arm.complete} of ${arm.trials}${arm.lost ? `, ${arm.lost} lost` : ""}` },
  { name: "final loss", isNumber: true, value: (arm) => arm.final_loss?.mean ?? null, cell: (arm) => interval(arm.final_loss, (x) => x.toFixed(3)) },
  { name: "compute saved", isNumber: true, value: (arm) => arm.saving?.mean ?? null, cell: saved, title: "on the way to the control's final loss; ≤: some trials never reached it" },
  ...([...state.arms.values()].some((arm) => arm.against_fixed) ? [{ name: "loss against the best fixed size", isNumber: true,
    value: (arm) => arm.against_fixed?.difference.mean ?? null,
    cell: (arm) => (arm.against_fixed && arm.against_fixed.against !== arm.strategy ? interval(arm.against_fixed.difference, signed) : "–") }] : []),
];

export const showArms = () => {
  const arms = [...state.arms.values()];
  $("arms-section").hidden = !arms.length;
  sortable("arms", armColumns(), arms, showArms);
  const control = state.control ? `compute saved against ${shownName(state.control)}; ` : "";
  $("arms-note").textContent = `${control}means with 95 % intervals over seeds, those of savings and gaps corrected for the number of arms. ${state.armsNote ?? ""}`;
};

const savingOf = (row) => {
  const found = isTuned(row) && state.arms.get(row.strategy)?.savings.find((one) => one.plan === row.plan && one.replicate === row.replicate);
  return found || null;
};

const pin = (row) => {
  const isPinned = state.pins.includes(row.trial);
  const button = element("button", isPinned ? "pinned" : "pin", { class: "pin", "aria-pressed": String(isPinned), "aria-label": `${isPinned ? "unpin" : "pin"} ${trialName(row)}`, "data-key": `pin ${row.trial}` });
  button.onclick = () => choose({ pins: pinned(state.pins, row.trial), trial: null });
  return button;
};

const open = (row) => {
  const made = link(shownName(row.strategy), { trial: row.trial, pins: [] }, look(row.strategy));
  made.dataset.key = row.trial;
  return made;
};

const trialColumns = () => [
  { name: "", cell: pin },
  { name: "strategy", value: (row) => shownName(row.strategy), cell: open },
  ...(several("learning_rate") ? [{ name: "rate", isNumber: true, value: (row) => row.learning_rate, cell: (row) => rate(row.learning_rate) }] : []),
  ...(several("budget") ? [{ name: "budget", isNumber: true, value: (row) => row.budget, cell: (row) => scaled(row.budget) }] : []),
  ...(several("setting") ? [{ name: "setting", value: (row) => row.setting, cell: (row) => row.setting }] : []),
  { name: "plan", isNumber: true, value: (row) => row.plan, cell: (row) => row.plan },
  { name: "seed", isNumber: true, value: (row) => row.replicate, cell: (row) => row.replicate },
  { name: "state", value: (row) => row.state, cell: (row) => row.state },
  { name: "tokens", isNumber: true, value: (row) => row.tokens, cell: (row) => scaled(row.tokens) },
  { name: "compute", isNumber: true, value: (row) => row.train_flops, cell: (row) => scaled(row.train_flops) },
  { name: "loss", isNumber: true, value: (row) => row.val_loss, cell: (row) => loss(row.val_loss) },
  { name: "saved", isNumber: true, value: (row) => savingOf(row)?.saving ?? null,
    cell: (row) => { const found = savingOf(row); return found ? `${found.reached ? "" : "≤ "}${percent(found.saving)}` : ""; } },
];

export const showTrials = () => {
  const wanted = $("filter").value.toLowerCase();
  const text = (row) => `${row.strategy} ${shownName(row.strategy)} ${row.state} ${row.trial} ${rate(row.learning_rate)} ${row.setting}`.toLowerCase();
  const shown = state.rows.filter((row) => text(row).includes(wanted) && (!state.only || row.strategy === state.only));
  sortable("trials", trialColumns(), shown, showTrials);
  const only = state.only ? ` of ${shownName(state.only)}` : "";
  $("trials-note").textContent = `${Math.min(shown.length, MOST_ROWS)} of ${state.rows.length} trials${only}; choose one for its growths, pin two to see them beside each other`;
};

export const showWorkers = (running) => {
  const columns = [
    { name: "trains", cell: (worker) => { const row = state.rows.find((found) => found.trial === worker.trains); return row ? trialName(row) : worker.label; } },
    { name: "host", cell: (worker) => worker.process.host },
    { name: "process", isNumber: true, cell: (worker) => worker.process.pid },
    { name: "tokens", isNumber: true, cell: (worker) => `${scaled(worker.tokens)} of ${scaled(worker.of_tokens)}` },
    { name: "loss", isNumber: true, cell: (worker) => loss(worker.loss) },
    { name: "heard", isNumber: true, cell: (worker) => `${worker.silent_seconds.toFixed(0)} s ago` },
  ];
  // A worker's row is no trial that could be chosen.
  sortable("workers", columns, running.map(({ trial, ...worker }) => ({ ...worker, trains: trial })), () => {});
};
