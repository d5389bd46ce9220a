// Numbers, times and names as people read them. Pure functions.

const PREFIXES = ["", "k", "M", "G", "T", "P", "E", "Z"];

export const scaled = (x) => {
  if (x === null || x === undefined) return "";
  let power = 0;
  while (Math.abs(x) >= 999.5 && power < PREFIXES.length - 1) { x /= 1000; power += 1; }
  return `${power ? x.toPrecision(3) : +x.toPrecision(3)} ${PREFIXES[power]}`.trim();
};

export const loss = (x) => (x === null || x === undefined ? "–" : x.toFixed(4));

export const percent = (x) => (x === null || x === undefined ? "" : `${(100 * x).toFixed(0)} %`.replace("-", "−"));

// 0.005 as 5e-3, the way sweep files write it.
export const rate = (x) => {
  const [digits, power] = x.toExponential().split("e");
  return Math.abs(power) < 2 ? String(x) : `${+(+digits).toPrecision(4)}e${+power}`;
};

// A mean and its 95 % interval, each number by `said`.
export const interval = (found, said) => {
  if (!found || found.mean === null) return "–";
  const { mean, bounds } = found;
  return bounds ? `${said(mean)} [${bounds.map((bound) => said(bound).replace(" %", "")).join(", ")}]` : said(mean);
};

export const duration = (seconds) => {
  if (seconds < 90) return `${Math.max(1, Math.round(seconds))} s`;
  if (seconds < 5400) return `${Math.round(seconds / 60)} min`;
  if (seconds < 172800) return `${(seconds / 3600).toFixed(1)} h`;
  return `${(seconds / 86400).toFixed(1)} days`;
};

export const bytes = (x) => `${scaled(x)}B`.replace(/^(\d+)B$/, "$1 B");

export const date = (seconds) =>
  new Date(seconds * 1000).toLocaleString(undefined, { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" });

// A text with what nobody sees (control characters, marks that turn the direction of reading) as its number.
export const visible = (text) =>
  String(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, (c) => `\\u{${c.codePointAt(0).toString(16)}}`);

// "complete", "12 of 63 ended", with what runs.
export const stateOf = ({ trials, running }) => {
  const count = (name) => trials[name] ?? 0;
  const all = Object.values(trials).reduce((sum, n) => sum + n, 0);
  const open = count("waiting") + count("running");
  const lost = count("failed") + count("diverged");
  if (running.length) return `running, ${all - open} of ${all}`;
  if (open) return `stopped, ${all - open} of ${all}`;
  return lost ? `ended, ${lost} of ${all} lost` : "complete";
};

// Ticks of a logarithmic axis: round numbers, even ones where the axis is short.
export const logTicks = (min, max) => {
  const decades = Math.log10(max / min);
  if (!(decades > 0)) return [min];
  if (decades < 0.35) return evenTicks(min, max);
  const steps = decades > 4 ? [1] : decades > 1.2 ? [1, 2, 5] : [1, 1.5, 2, 2.5, 3, 4, 5, 6, 8];
  const ticks = [];
  for (let power = Math.floor(Math.log10(min)); power <= Math.log10(max); power += 1) {
    steps.forEach((step) => ticks.push(+(step * 10 ** power).toPrecision(6)));
  }
  return ticks.filter((tick) => tick >= min && tick <= max);
};

const evenTicks = (min, max) => {
  const rough = (max - min) / 6, size = 10 ** Math.floor(Math.log10(rough));
  const step = size * [1, 2, 5, 10].find((factor) => factor * size >= rough);
  const ticks = [];
  for (let n = Math.ceil(min / step); n * step <= max; n += 1) ticks.push(+(n * step).toPrecision(6));
  return ticks;
};

// Rows by what `of` gives; what is not known comes last, either way round.
export const sorted = (rows, of, isFalling) => {
  const known = rows.filter((row) => (of(row) ?? null) !== null), unknown = rows.filter((row) => (of(row) ?? null) === null);
  const order = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b), undefined, { numeric: true }));
  known.sort((a, b) => (isFalling ? -1 : 1) * order(of(a), of(b)));
  return [...known, ...unknown];
};

// "layer addition × 2, head addition", in the order in which they come first.
export const counted = (names) =>
  [...new Set(names)].map((name) => {
    const n = names.filter((other) => other === name).length;
    return name.replaceAll("_", " ") + (n > 1 ? ` × ${n}` : "");
  }).join(", ");
