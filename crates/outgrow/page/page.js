// The page of `outgrow serve`: asks for JSON on this machine, draws it, and asks again while something trains.

import { resize } from "./chart.js";
import { drawMeans, drawTrials, forget } from "./curves.js";
import { $, ask, choice, objects } from "./elements.js";
import { choose, read, state } from "./state.js";
import { showArms, showTrials, showWorkers } from "./tables.js";
import { bytes, date, duration, scaled, stateOf, visible } from "./words.js";

const LIVE = 2000, IDLE = 10000;
// FLOPs of the shown sweep, as seen in the last minutes.
let pace = [];

const secondsLeft = ({ id, train_flops: done, of_train_flops: all, running }) => {
  const now = performance.now() / 1000;
  pace = pace.filter((seen) => seen.id === id && now - seen.now < 300);
  pace.push({ id, now, done });
  const first = pace[0], flops = done - first.done;
  return running.length && flops > 0 && now - first.now > 8 ? (all - done) / (flops / (now - first.now)) : null;
};

const progress = (own) => {
  const counts = Object.entries(own.trials).map(([name, n]) => `${n} ${name}`).join(", ");
  const left = secondsLeft(own);
  const parts = [counts, `${scaled(own.tokens)} of ${scaled(own.of_tokens)} tokens`, `${scaled(own.train_flops)} of ${scaled(own.of_train_flops)} FLOPs`];
  if (left !== null) parts.push(`about ${duration(left)} left`);
  if (state.diskBytes) parts.push(`${bytes(state.diskBytes)} on disk`);
  return parts.join("; ");
};

const showSweeps = (sweeps) =>
  choice($("sweeps"), sweeps.map((sweep) => [sweep.id, sweep.sweep, `${date(sweep.created_at)}, ${stateOf(sweep)}, ${sweep.id.slice(0, 8)}`]),
    state.sweep, (sweep) => choose({ sweep, trial: null, only: null, pins: [] }));

const showStatus = (own) => {
  $("title").textContent = visible(own.sweep);
  document.title = `${visible(own.sweep)} – outgrow`;
  const said = [...(own.tags ?? []).map((tag) => `#${tag}`), own.notes ?? ""].filter(Boolean).join(" ");
  $("said").textContent = visible(said);
  $("progress").textContent = visible(progress(own));
  $("done").style.width = `${100 * own.train_flops / Math.max(1, own.of_train_flops)}%`;
  $("failures").textContent = own.failures.length ? visible(own.failures.slice(0, 5).map(([label, why]) => `${label}: ${why}`).join("; ")) : "";
};

const showChoices = () => {
  choice($("axes"), [["tokens", "tokens"], ["train_flops", "FLOPs"], ["wall_seconds", "time"]], state.axis, (axis) => choose({ axis }));
  choice($("x-scale"), [["linear", "linear"], ["log", "log"]], state.x, (x) => choose({ x }));
  choice($("y-scale"), [["linear", "linear"], ["log", "log"], ["end", "end"]], state.y, (y) => choose({ y }));
  choice($("rates"), [["best", "best rate"], ["all", "all rates"]], state.rates, (rates) => choose({ rates }));
  const shown = state.rows.some((row) => ["learning_rate", "setting", "budget"].some((name) => row[name] !== state.rows[0][name]));
  $("rates-choice").hidden = !shown || isOfTrials();
  $("back").hidden = $("plan-section").hidden = !isOfTrials();
};

const isOfTrials = () => Boolean(state.trial || state.pins.length);

const showArmsAndTrials = async () => {
  const [trials, arms] = await Promise.all([ask("trials", { sweep: state.sweep }), ask("arms", { sweep: state.sweep })]);
  state.rows = objects(trials);
  state.arms = new Map(arms.arms.map((arm) => [arm.strategy, arm]));
  [state.control, state.armsNote, state.diskBytes] = [arms.control ?? null, arms.note ?? null, arms.disk_bytes];
};

const refresh = async () => {
  const sweeps = await ask("sweeps");
  if (!sweeps.length) { $("title").textContent = "no sweeps yet"; return true; }
  state.sweep ??= sweeps[0].id;
  const own = sweeps.find((sweep) => sweep.id === state.sweep);
  if (!own) { state.sweep = null; return true; }
  showSweeps(sweeps);
  await showArmsAndTrials();
  showStatus(own);
  showChoices();
  showArms();
  showTrials();
  showWorkers(own.running);
  await (isOfTrials() ? drawTrials() : drawMeans());
  document.body.dataset.ready = "1";
  return own.running.length > 0;
};

let timer = null, turn = 0;
const again = async () => {
  clearTimeout(timer);
  const own = (turn += 1);
  let lively = true;
  try {
    lively = await refresh();
    $("link").textContent = lively ? "live" : "";
    $("link").className = "";
  } catch (error) {
    $("link").textContent = `no answer: ${visible(error.message)}`;
    $("link").className = "lost";
  }
  // A choice meanwhile has asked anew.
  if (own === turn) timer = setTimeout(again, lively ? LIVE : IDLE);
};

const follow = () => { Object.assign(state, read(location.hash)); again(); };

$("back").onclick = () => choose({ trial: null, pins: [] });
$("filter").oninput = showTrials;
addEventListener("hashchange", follow);
addEventListener("resize", resize);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { forget(); again(); });
follow();
