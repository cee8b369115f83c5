// Fills of boxes: by how much of something they hold, or by what a difference says of them; and what fills mean.

import { html } from "./dom.js";
import { changedPaths } from "./changes.js";
import { short, time } from "./numbers.js";
import { rampAt } from "./ramp.js";

/** @typedef {import("./types.js").BoxData} BoxData */
/** @typedef {import("./store.js").Store} Store */

const MODES = {
  parameters: { words: "Parameters", written: short, unit: " parameters" },
  macs: { words: "Multiply-accumulates", written: short, unit: " MACs" },
  time: { words: "Measured time of each operation", written: time, unit: "", key: "seconds" },
};
const UNCOLOURED = { colours: () => null, words: () => null };
// What is smaller than the largest by more than this is as pale as what is that small.
const MOST_DECADES = 5;
const STEPS = 24;

/**
 * What boxes look like: the colours of their fill and words, and a quantity that they print in place of what they are.
 *
 * @returns {{colours: (path: string) => {fill: string, ink?: string}|null,
 *   words: (path: string, isBlock: boolean) => string|null, legend: HTMLElement|null}}
 * @param {Store} store
 */
export function colourScale(store) {
  const mode = MODES[store.state.colour];
  if (mode) return measured(store, mode, mode.key ?? store.state.colour);
  return store.data.changes ? compared(store) : { ...UNCOLOURED, legend: null };
}

/** Logarithmic: equal ratios look equally far apart, on light and dark paper alike. @param {Store} store */
function measured(store, mode, key) {
  const values = new Map();
  for (const { box } of store.network().entries.values()) values.set(box.path, valueIn(store, box, key));
  let [smallest, most] = [Infinity, 0];
  for (const value of values.values()) {
    if (value > 0) [smallest, most] = [Math.min(smallest, value), Math.max(most, value)];
  }
  const words = (path, isBlock) => {
    const value = values.get(path);
    if (value === undefined) return null;
    return value === null ? "unknown" : `${mode.written(value)}${isBlock ? mode.unit : ""}`;
  };
  const unknown = [...values.values()].filter((value) => value === null).length;
  if (most === 0) return { ...UNCOLOURED, words, legend: null };
  const least = Math.max(smallest, most / 10 ** MOST_DECADES);
  const part = (value) => (most === least ? 1 : Math.max(0, Math.log(value / least) / Math.log(most / least)));
  return {
    colours(path) {
      const value = values.get(path);
      if (value === undefined || value === null) return null;
      return value > 0 ? rampAt(part(value)) : { fill: "var(--paper)" };
    },
    words,
    legend: ramp(mode, least, most, part, unknown > 0),
  };
}

/**
 * Of a box for several copies, what all of them have.
 *
 * @param {Store} store
 * @param {BoxData} box
 */
function valueIn(store, box, key) {
  let sum = 0;
  for (const path of box.copies ?? [box.path]) {
    const value = store.facts(path)?.[key];
    if (value === undefined || value === null) return null;
    sum += value;
  }
  return sum;
}

function ramp(mode, least, most, part, hasUnknown) {
  const bar = html("div", { class: "ramp", "aria-hidden": "true" });
  for (let step = 0; step < STEPS; step += 1) {
    const swatch = html("i");
    swatch.style.background = rampAt(step / (STEPS - 1)).fill;
    bar.append(swatch);
  }
  const ticks = html("div", { class: "ticks" });
  for (const value of ticksBetween(least, most)) {
    const tick = html("span", {}, mode.written(value));
    tick.style.left = `${100 * part(value)}%`;
    ticks.append(tick);
  }
  const rest = hasUnknown ? "none: as the paper; unknown: in the colour of its kind" : "none: as the paper";
  return html("div", { class: "scale" }, html("p", {}, `${mode.words}, logarithmic; ${rest}`), bar, ticks);
}

/** The ends, and powers of ten that are not too near to another or to an end. */
function ticksBetween(least, most) {
  if (least === most) return [most];
  const decades = Math.log10(most / least);
  const every = Math.max(1, Math.ceil(decades / 3));
  const found = [least];
  for (
    let power = Math.ceil(Math.log10(least) + decades * 0.18);
    power <= Math.log10(most) - decades * 0.18;
    power += every
  ) {
    found.push(10 ** power);
  }
  return [...found, most];
}

const SIGNS = { added: "+", removed: "−", changed: "~", moved: "›" };

/** What a difference says of each box; of a closed one, what it says of those inside. @param {Store} store */
function compared(store) {
  const marks = changedPaths(store);
  const colours = (path) => {
    const kind = marks.get(path);
    return kind ? { fill: `var(--${kind}-fill)` } : null;
  };
  const kinds = Object.keys(SIGNS).filter((kind) => store.data.changes.some((one) => one.kind === kind));
  const entries = kinds.map((kind) => {
    const swatch = html("i", { class: "swatch", "aria-hidden": "true" }, SIGNS[kind]);
    swatch.style.background = `var(--${kind}-fill)`;
    return html("span", { class: "entry" }, swatch, kind);
  });
  return {
    ...UNCOLOURED,
    colours,
    legend: kinds.length ? html("div", { class: "scale" }, html("p", {}, "Differences"), ...entries) : null,
  };
}
