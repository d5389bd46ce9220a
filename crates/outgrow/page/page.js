"use strict";
// The page of `outgrow serve`: asks for JSON on this machine, draws it, and asks again while something trains.

const COLOURS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#888888"];
const AXES = { tokens: "training tokens", train_flops: "training FLOPs", wall_seconds: "seconds of training" };
const $ = (id) => document.getElementById(id);
const state = { sweep: null, axis: "tokens", trial: null, rows: [], chart: null, drawn: null };

const scaled = (x) => {
  if (x === null || x === undefined) return "";
  const prefixes = ["", "k", "M", "G", "T", "P", "E", "Z"];
  let power = 0;
  while (Math.abs(x) >= 999.5 && power < prefixes.length - 1) { x /= 1000; power += 1; }
  return `${power ? x.toPrecision(3) : +x.toPrecision(3)} ${prefixes[power]}`.trim();
};
const loss = (x) => (x === null || x === undefined ? "–" : x.toFixed(4));

// A text with what nobody sees (control characters, marks that turn the direction of reading) as its number.
const visible = (text) =>
  String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

// Text only: nothing from the database becomes markup.
const element = (name, text, attributes = {}) => {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = visible(text);
  Object.entries(attributes).forEach(([key, value]) => made.setAttribute(key, value));
  return made;
};

const ask = async (path) => {
  const answer = await fetch(path, { cache: "no-store" });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
};

// Rows as objects.
const objects = ({ columns, rows }) =>
  rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));

const groups = (rows, key) => {
  const found = new Map();
  rows.forEach((row) => found.set(row[key], [...(found.get(row[key]) ?? []), row]));
  return found;
};

const table = (into, header, rows, numbers = []) => {
  const head = element("tr");
  header.forEach((name, i) => head.append(element("th", name, numbers.includes(i) ? { class: "n" } : {})));
  const lines = rows.map(({ cells, open }) => {
    const line = element("tr");
    cells.forEach((cell, i) => line.append(cell instanceof Node ? cell : element("td", cell, numbers.includes(i) ? { class: "n" } : {})));
    if (open) {
      line.tabIndex = 0;
      line.onclick = open;
      line.onkeydown = (event) => event.key === "Enter" && open();
    }
    return line;
  });
  if (!lines.length) lines.push(element("tr")), lines[0].append(element("td", "none"));
  into.replaceChildren(head, ...lines);
};

const choice = (into, options, chosen, choose) =>
  into.replaceChildren(...options.map(([value, name]) => {
    const button = element("button", name, { "aria-pressed": String(value === chosen) });
    button.onclick = () => choose(value);
    return button;
  }));

// Whether this is something else than what is drawn: a zoom stays while nothing changes.
const isNew = (...shown) => {
  const text = JSON.stringify([state.axis, ...shown]);
  const changed = text !== state.drawn;
  state.drawn = text;
  return changed;
};

// Curves over one horizontal axis: each a name, points and a colour; thin ones are not in the legend; marks are vertical lines with a name.
const draw = (curves, marks) => {
  const ink = getComputedStyle(document.body).color;
  const grid = { stroke: "#8883", width: 1 };
  const axis = (label) => ({ label, stroke: ink, grid, ticks: grid, font: "12px system-ui", labelFont: "12px system-ui" });
  const data = uPlot.join(curves.map(({ points }) => [points.map((p) => p[0]), points.map((p) => p[1])]));
  const drawMarks = (u) => {
    const { ctx, bbox } = u;
    ctx.save();
    ctx.strokeStyle = ctx.fillStyle = "#888";
    ctx.textAlign = "left";
    ctx.setLineDash([4, 4]);
    ctx.font = `${11 * devicePixelRatio}px system-ui`;
    marks.forEach(({ at, name }, i) => {
      const x = u.valToPos(at, "x", true);
      if (x < bbox.left || x > bbox.left + bbox.width) return;
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.fillText(visible(name), x + 4, bbox.top + (12 + 14 * (i % 4)) * devicePixelRatio);
    });
    ctx.restore();
  };
  const options = {
    width: $("chart").clientWidth, height: 380, scales: { x: { time: false } },
    axes: [{ ...axis(AXES[state.axis]), values: (_, values) => values.map(scaled) }, axis("nats per token")],
    series: [{ label: AXES[state.axis], value: (_, x) => scaled(x) },
      ...curves.map(({ name, colour, dash, thin }) => ({ label: visible(name), class: thin ? "thin" : null, stroke: colour, width: thin ? 0.6 : 1.6, dash, spanGaps: true, points: { show: false }, value: (_, y) => loss(y) }))],
    hooks: { draw: [drawMarks] },
  };
  state.chart?.destroy();
  $("chart").replaceChildren();
  state.chart = curves.length ? new uPlot(options, data, $("chart")) : null;
};

const points = (rows, x, y) =>
  rows.filter((row) => row[x] !== null && row[y] !== null).map((row) => [row[x], row[y]]).sort((a, b) => a[0] - b[0]);

const colourOf = (strategy) => {
  const names = [...new Set(state.rows.map((row) => row.strategy))];
  return COLOURS[Math.max(0, names.indexOf(strategy)) % COLOURS.length];
};

const drawMeans = async () => {
  const answer = await ask(`/api/means?sweep=${encodeURIComponent(state.sweep)}`);
  if (!isNew(state.sweep, answer)) return;
  const rows = objects(answer), longer = objects(answer.longer);
  const curve = (name, own, thin) => ({ name, thin, colour: colourOf(own[0].strategy), points: points(own, state.axis, "val_loss") });
  const means = [...groups(rows, "arm")].map(([arm, own]) => curve(arm, own, false));
  const trials = [...groups(longer, "member")].map(([, own]) => curve(own[0].arm, own, true));
  draw([...means, ...trials], []);
  const most = rows.reduce((n, row) => Math.max(n, row.trials), 0);
  $("chart-title").textContent = "Validation loss, mean over trials";
  const ends = trials.length ? "; a mean ends where the first of its trials is, from there on the others are thin lines" : "";
  $("note").textContent = rows.length + longer.length ? `up to ${most} trials in a mean${ends}; choose a trial below for its own curve and its growth events` : "nothing was evaluated yet";
};

// A transform or an operator as a reader says it: "hidden_expansion d_model 48".
const said = ({ transform, operator, ...rest }) => {
  const value = (v) => (typeof v === "object" ? JSON.stringify(v) : v);
  return [transform ?? operator?.kind, ...Object.entries(rest).map(([name, v]) => `${name} ${value(v)}`)].join(" ");
};

const transformNames = (text) => JSON.parse(text).map((t) => t.transform ?? t.operator?.kind ?? "?");

const drawTrial = async () => {
  const answer = await ask(`/api/trial?sweep=${encodeURIComponent(state.sweep)}&trial=${encodeURIComponent(state.trial)}`);
  if (!isNew(state.trial, answer)) return;
  const { trial, curves, steps, growth } = answer;
  const rows = objects(curves), events = objects(growth), own = state.rows.find((row) => row.trial === state.trial);
  const at = (event) => {
    if (state.axis !== "wall_seconds") return event[state.axis];
    // A growth is as late as the evaluation before it.
    return rows.filter((row) => row.tokens <= event.tokens).at(-1)?.wall_seconds ?? 0;
  };
  const colour = colourOf(own?.strategy);
  draw([{ name: "validation", colour, points: points(rows, state.axis, "val_loss") },
    { name: "training", colour: "#999", dash: [3, 3], points: points(objects(steps), state.axis, "loss") }],
  events.map((event) => ({ at: at(event), name: transformNames(event.transforms).join(", ") })));
  $("chart-title").textContent = own ? `${visible(own.strategy)}, plan ${own.plan}, seed ${own.replicate}` : visible(state.trial);
  $("note").textContent = `trial ${visible(state.trial)}, ${events.length} growth events so far`;
  const stages = trial.plan.stages.map((stage) => {
    const event = events.find((event) => event.tokens === stage.tokens);
    const error = event ? event.error.toExponential(1) : "to come";
    return { cells: [scaled(stage.tokens), stage.transforms.map(said).join(", "), event ? scaled(event.parameters_after) : "", error] };
  });
  table($("plan"), ["tokens", "transforms", "parameters after", "logits moved by"], stages, [0, 2, 3]);
};

const showTrials = () => {
  const wanted = $("filter").value.toLowerCase();
  const shown = state.rows.filter((row) => `${row.strategy} ${row.state} ${row.trial}`.toLowerCase().includes(wanted));
  table($("trials"), ["strategy", "plan", "seed", "state", "tokens", "compute", "loss"], shown.map((row) => {
    const name = element("td", "");
    name.append(element("span", "", { class: "swatch", style: `background:${colourOf(row.strategy)}` }), visible(row.strategy));
    return { cells: [name, row.plan, row.replicate, row.state, scaled(row.tokens), scaled(row.train_flops), loss(row.val_loss)], open: () => choose({ trial: row.trial }) };
  }), [1, 2, 4, 5, 6]);
};

const showStatus = (sweeps) => {
  const own = sweeps.find((sweep) => sweep.id === state.sweep);
  if (!own) return null;
  const named = (sweep) => (sweeps.filter((other) => other.sweep === sweep.sweep).length > 1 ? `${sweep.sweep} ${sweep.id.slice(0, 8)}` : sweep.sweep);
  choice($("sweeps"), sweeps.map((sweep) => [sweep.id, named(sweep)]), state.sweep, (sweep) => choose({ sweep, trial: null }));
  $("title").textContent = visible(own.sweep);
  const counts = Object.entries(own.trials).map(([name, n]) => `${n} ${name}`).join(", ");
  $("progress").textContent = `${counts}; ${scaled(own.tokens)} of ${scaled(own.of_tokens)} tokens, ${scaled(own.train_flops)} of ${scaled(own.of_train_flops)} FLOPs`;
  $("done").style.width = `${100 * own.train_flops / Math.max(1, own.of_train_flops)}%`;
  table($("workers"), ["trains", "host", "process", "tokens", "loss", "heard"], own.running.map((worker) => ({
    cells: [worker.label, worker.process.host, worker.process.pid, `${scaled(worker.tokens)} of ${scaled(worker.of_tokens)}`, loss(worker.loss), `${worker.silent_seconds.toFixed(0)} s ago`],
  })), [2, 3, 4]);
  return own;
};

const refresh = async () => {
  const sweeps = await ask("/api/sweeps");
  if (!sweeps.length) { $("title").textContent = "no sweeps yet"; return true; }
  state.sweep ??= sweeps.at(-1).id;
  const own = showStatus(sweeps);
  if (!own) { state.sweep = null; return true; }
  state.rows = objects(await ask(`/api/trials?sweep=${encodeURIComponent(state.sweep)}`));
  showTrials();
  choice($("axes"), Object.entries({ tokens: "tokens", train_flops: "FLOPs", wall_seconds: "time" }), state.axis, (axis) => choose({ axis }));
  $("back").hidden = $("plan-section").hidden = !state.trial;
  await (state.trial ? drawTrial() : drawMeans());
  document.body.dataset.ready = "1";
  return own.running.length > 0;
};

let timer = null;
const again = async () => {
  clearTimeout(timer);
  let lively = true;
  try {
    lively = await refresh();
    $("link").textContent = lively ? "live" : "";
    $("link").className = "";
  } catch (error) {
    $("link").textContent = `no answer: ${visible(error.message)}`;
    $("link").className = "lost";
  }
  timer = setTimeout(again, lively ? 2000 : 10000);
};

const choose = (change) => {
  Object.assign(state, change);
  location.hash = [state.sweep, state.axis, state.trial ?? ""].join("/");
  again();
};

const [sweep, axis, trial] = location.hash.slice(1).split("/");
Object.assign(state, { sweep: sweep || null, axis: AXES[axis] ? axis : "tokens", trial: trial || null });
$("back").onclick = () => choose({ trial: null });
$("filter").oninput = showTrials;
addEventListener("resize", () => state.chart?.setSize({ width: $("chart").clientWidth, height: 380 }));
again();
