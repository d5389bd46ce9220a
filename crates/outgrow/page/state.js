// What is shown, and how the address says it: #SWEEP/AXIS/TRIAL?x=log&y=end&rates=all&only=ARM&pins=TRIAL,TRIAL

export const AXES = { tokens: "training tokens", train_flops: "training FLOPs", wall_seconds: "seconds of training" };
const USUAL = { x: "linear", y: "linear", rates: "best", only: null, pins: [] };
const MOST_PINS = 2;

export const state = {
  sweep: null, axis: "tokens", trial: null, ...USUAL,
  // What the server said last.
  rows: [], arms: new Map(), armsNote: null, control: null, diskBytes: null,
};

const oneOf = (value, all, usual) => (all.includes(value) ? value : usual);

// Reads an address into what is shown.
export const read = (hash) => {
  const [path, search] = hash.replace(/^#/, "").split("?");
  const [sweep, axis, trial] = path.split("/");
  const given = new URLSearchParams(search ?? "");
  return {
    sweep: sweep || null, axis: AXES[axis] ? axis : "tokens", trial: trial || null,
    x: oneOf(given.get("x"), ["log"], USUAL.x), y: oneOf(given.get("y"), ["log", "end"], USUAL.y),
    rates: oneOf(given.get("rates"), ["all"], USUAL.rates), only: given.get("only"),
    pins: (given.get("pins") ?? "").split(",").filter((id) => /^[0-9a-f]+$/i.test(id)).slice(0, MOST_PINS),
  };
};

// The address of what is shown, with some of it changed.
export const address = (change = {}) => {
  const shown = { ...state, ...change };
  const search = new URLSearchParams();
  ["x", "y", "rates", "only"].forEach((name) => shown[name] !== USUAL[name] && search.set(name, shown[name]));
  if (shown.pins.length) search.set("pins", shown.pins.join(","));
  const rest = search.toString().replaceAll("%2C", ",");
  return `#${[shown.sweep, shown.axis, shown.trial ?? ""].join("/")}${rest && `?${rest}`}`;
};

// Every change goes through the address, so that going back undoes it.
export const choose = (change) => { location.hash = address(change); };

// The pins with this trial pinned, or no longer; the oldest gives way.
export const pinned = (pins, trial) =>
  pins.includes(trial) ? pins.filter((id) => id !== trial) : [...pins, trial].slice(-MOST_PINS);
