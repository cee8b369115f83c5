// Fills of boxes: by how much of something they hold, or by what a difference says of them; and what fills mean.

import { html } from "./dom.js";
import { changedPaths } from "./changes.js";
import { short, time } from "./numbers.js";

const MODES = {
  parameters: { words: "Parameters", written: short },
  macs: { words: "Multiply-accumulates", written: short },
  time: { words: "Measured time of each operation", written: time, key: "seconds" },
};
// What is smaller than the largest by more than this is as pale as what is that small.
const MOST_DECADES = 5;
const STEPS = 24;

/** @returns {{fill: (path: string) => string|null, legend: HTMLElement|null}} */
export function colourScale(store) {
  const mode = MODES[store.state.colour];
  if (mode) return measured(store, mode, mode.key ?? store.state.colour);
  return store.data.changes ? compared(store) : { fill: () => null, legend: null };
}

/** Logarithmic, and straight through OKLab: equal ratios look equally far apart, on light and dark paper alike. */
function measured(store, mode, key) {
  const values = new Map();
  for (const { box } of store.network().entries.values()) values.set(box.path, valueOf(store, box, key));
  let [smallest, most] = [Infinity, 0];
  for (const value of values.values()) {
    if (value > 0) [smallest, most] = [Math.min(smallest, value), Math.max(most, value)];
  }
  if (most === 0) return { fill: () => null, legend: null };
  const least = Math.max(smallest, most / 10 ** MOST_DECADES);
  const part = (value) => (most === least ? 1 : Math.max(0, Math.log(value / least) / Math.log(most / least)));
  return {
    fill(path) {
      const value = values.get(path);
      return value === undefined || value === null ? null : value > 0 ? mixed(part(value)) : "var(--paper)";
    },
    legend: ramp(mode, least, most, part),
  };
}

/** Of a box for several copies, what all of them have. */
function valueOf(store, box, key) {
  let sum = 0;
  for (const path of box.copies ?? [box.path]) {
    const value = store.facts(path)?.[key];
    if (value === undefined || value === null) return null;
    sum += value;
  }
  return sum;
}

const mixed = (part) => `color-mix(in oklab, var(--scale-high) ${(100 * part).toFixed(1)}%, var(--scale-low))`;

function ramp(mode, least, most, part) {
  const bar = html("div", { class: "ramp", "aria-hidden": "true" });
  for (let step = 0; step < STEPS; step += 1) {
    const swatch = html("i");
    swatch.style.background = mixed(step / (STEPS - 1));
    bar.append(swatch);
  }
  const ticks = html("div", { class: "ticks" });
  for (const value of ticksBetween(least, most)) {
    const tick = html("span", {}, mode.written(value));
    tick.style.left = `${100 * part(value)}%`;
    ticks.append(tick);
  }
  return html("div", { class: "scale" }, html("p", {}, `${mode.words}, logarithmic`), bar, ticks);
}

/** The ends, and powers of ten that are not too near to another or to an end. */
function ticksBetween(least, most) {
  if (least === most) return [most];
  const decades = Math.log10(most / least);
  const every = Math.max(1, Math.ceil(decades / 3));
  const found = [least];
  for (let power = Math.ceil(Math.log10(least) + decades * 0.18); power <= Math.log10(most) - decades * 0.18; power += every) {
    found.push(10 ** power);
  }
  return [...found, most];
}

const SIGNS = { added: "+", removed: "−", changed: "~", moved: "›" };

/** What a difference says of each box; of a closed one, what it says of those inside. */
function compared(store) {
  const marks = changedPaths(store);
  const fill = (path) => {
    const kind = marks.get(path);
    return kind ? `var(--${kind}-fill)` : null;
  };
  const kinds = Object.keys(SIGNS).filter((kind) => store.data.changes.some((one) => one.kind === kind));
  const entries = kinds.map((kind) => {
    const swatch = html("i", { class: "swatch", "aria-hidden": "true" }, SIGNS[kind]);
    swatch.style.background = `var(--${kind}-fill)`;
    return html("span", { class: "entry" }, swatch, kind);
  });
  return { fill, legend: kinds.length ? html("div", { class: "scale" }, html("p", {}, "Differences"), ...entries) : null };
}
