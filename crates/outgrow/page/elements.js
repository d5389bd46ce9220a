// What the page is built of, and how it asks for data.

import { visible } from "./words.js";

export const $ = (id) => document.getElementById(id);

// Text only: nothing from the database becomes markup.
export const element = (name, text, attributes = {}, ...children) => {
  const made = document.createElement(name);
  if (text !== undefined && text !== null) made.textContent = visible(text);
  Object.entries(attributes).forEach(([key, value]) => value !== null && made.setAttribute(key, value));
  made.append(...children);
  return made;
};

export const ask = async (path, given = {}) => {
  const query = new URLSearchParams(given).toString();
  const answer = await fetch(`/api/${path}${query && `?${query}`}`, { cache: "no-store" });
  if (!answer.ok) throw new Error(await answer.text());
  return answer.json();
};

// Rows as objects.
export const objects = ({ columns, rows }) =>
  rows.map((row) => Object.fromEntries(columns.map((name, i) => [name, row[i]])));

export const groups = (rows, key) => {
  const found = new Map();
  rows.forEach((row) => {
    const own = found.get(key(row));
    if (own) own.push(row); else found.set(key(row), [row]);
  });
  return found;
};

// Puts children in place of what is there, unless it is the same; the focus stays on what has the same data-key.
export const replace = (into, ...children) => {
  const text = children.map((child) => child.outerHTML ?? child).join("");
  if (into.shownText === text) return;
  const key = into.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  into.replaceChildren(...children);
  into.shownText = text;
  if (key) [...into.querySelectorAll("[data-key]")].find((found) => found.dataset.key === key)?.focus();
};

// Buttons of which one is pressed.
export const choice = (into, options, chosen, act) =>
  replace(into, ...options.map(([value, ...lines]) => {
    const button = element("button", lines[0], { "aria-pressed": String(value === chosen), "data-key": value });
    if (lines[1]) button.append(element("small", lines[1]));
    button.onclick = () => act(value);
    return button;
  }));

// A short piece of a curve: its colour and dashes.
export const sample = ({ colour, dash, width = 2, alpha = 1 }) => {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg"), line = document.createElementNS(space, "line");
  Object.entries({ class: "sample", viewBox: "0 0 22 8", width: 22, height: 8, "aria-hidden": "true" }).forEach(([k, v]) => svg.setAttribute(k, v));
  Object.entries({ x1: 0, x2: 22, y1: 4, y2: 4, stroke: colour, "stroke-width": width, "stroke-opacity": alpha, "stroke-dasharray": (dash ?? []).join(" ") })
    .forEach(([k, v]) => line.setAttribute(k, v));
  svg.append(line);
  return svg;
};
