// Fills of boxes: by how much of something they hold, or by what a difference says of them; and what fills mean.

import { html } from "./dom.js";
import { changedPaths } from "./compare/changes.js";
import { WRITTEN } from "./numbers.js";
import { SIGNS } from "./compare/twin.js";

/** @typedef {import("./types.js").BoxData} BoxData */
/** @typedef {import("./types.js").ModeData} ModeData */
/** @typedef {import("./store.js").Store} Store */

const STEPS = 24;
const DIGITS = 6;
const UNCOLOURED = { colours: () => null, words: () => null };
const WORDS = { changed: "changed, or holds changes" };

/**
 * What boxes look like: the colours of their fill and words, and a quantity that they print in place of what they are.
 *
 * @returns {{colours: (path: string) => {fill: string, ink?: string}|null,
 *   words: (path: string, isBlock: boolean) => string|null, legend: HTMLElement|null}}
 * @param {Store} store
 */
export function colourScale(store) {
  const mode = store.data.modes.find((one) => one.key === store.state.colour);
  if (mode) return measured(store, mode);
  return store.data.changes ? compared(store) : { ...UNCOLOURED, legend: null };
}

/** @param {Store} store @param {ModeData} mode */
function measured(store, mode) {
  const write = WRITTEN[mode.written];
  const part = partOf(mode);
  const colourAt = (share) => colourOf(store.data.ramp, share);
  const values = new Map();
  for (const { box } of store.network().entries.values()) {
    const found = numbersOf(store, pathsOf(store, box, mode), mode);
    if (found !== undefined) values.set(box.path, found);
  }
  return {
    colours(path) {
      const box = store.box(path);
      const own =
        mode.tones &&
        pathsOf(store, box, mode)
          .map((one) => mode.tones[one])
          .find(Boolean);
      if (own) return { fill: own[0], ink: own[1] };
      const numbers = values.get(path);
      if (!numbers) return null;
      if (mode.adds && numbers[0] <= 0) return { fill: "var(--paper)", ink: "var(--ink)" };
      return colourAt(part(numbers.reduce((sum, one) => sum + one) / numbers.length));
    },
    words(path, isBlock) {
      const numbers = values.get(path);
      if (!numbers) return numbers === null ? "unknown" : null;
      const ends = new Set([Math.min(...numbers), Math.max(...numbers)].map(write));
      return `${[...ends].join(" … ")}${isBlock ? mode.unit : ""}`;
    },
    legend: legendOf(mode, part, colourAt, [...values.values()]),
  };
}

/** Fill and ink at a part of the ramp in 0..1, for light and dark paper. @param {import("./types.js").RampData} ramp */
function colourOf({ fills, turns }, share) {
  const step = Math.floor(share * (fills[0].length / DIGITS - 1) + 0.5);
  const [light, dark] = fills.map((one) => `#${one.slice(step * DIGITS, (step + 1) * DIGITS)}`);
  const [ink, darkInk] = [step < turns[0] ? "#000" : "#fff", step < turns[1] ? "#fff" : "#000"];
  return { fill: `light-dark(${light}, ${dark})`, ink: `light-dark(${ink}, ${darkInk})` };
}

/** Where a number stands on the scale, in 0..1. @param {ModeData} mode */
export function partOf({ least, most, log }) {
  if (least === most) return () => 1;
  if (!log) return (number) => clamp((number - least) / (most - least));
  return (number) => (number > 0 ? clamp(Math.log(number / least) / Math.log(most / least)) : 0);
}

const clamp = (share) => Math.max(0, Math.min(1, share));

/**
 * The nodes that a box stands for, in every copy of the stacks around it; as composer/draw/values.py. A block that is
 * drawn as its copies stands for itself if it has a number.
 *
 * @param {Store} store
 * @param {BoxData} box
 * @param {ModeData} mode
 */
function pathsOf(store, box, mode) {
  const network = store.network();
  let found = box.copies ?? [box.path];
  if (!found.includes(box.path) && numberOf(store, box.path, mode) !== undefined) found = [box.path];
  for (const around of network.around(box.path).reverse()) {
    const { copies } = network.entry(around).box;
    if (!copies) continue;
    const inside = (path) => (path.startsWith(copies[0]) ? path.slice(copies[0].length) : path);
    found = copies.flatMap((copy) => found.map((path) => copy + inside(path)));
  }
  return found;
}

/**
 * The numbers of nodes: their sum where they add up, else each. Null where they are not known, undefined where there is
 * none.
 *
 * @param {Store} store
 * @param {string[]} paths
 * @param {ModeData} mode
 */
function numbersOf(store, paths, mode) {
  const every = paths.map((path) => numberOf(store, path, mode));
  const known = every.filter((one) => one !== null && one !== undefined);
  const nothing = every.some((one) => one === null) ? null : undefined;
  if (!mode.adds) return known.length ? known : nothing;
  return known.length === every.length ? [known.reduce((sum, one) => sum + one)] : nothing;
}

/** The number of a node: only the first network was measured. @param {Store} store @param {ModeData} mode */
export function numberOf(store, path, mode) {
  if (mode.fact) return store.facts(path)?.[mode.fact];
  return store.state.network === store.data.networks[0].key ? mode.numbers[path] : undefined;
}

function legendOf(mode, part, colourAt, found) {
  const kind = mode.log ? "logarithmic" : "linear";
  const isOwn = mode.tones && Object.entries(mode.numbers).every(([path, one]) => one === null || mode.tones[path]);
  const notes = [
    isOwn ? "colours of the file" : kind,
    mode.adds && "0 has no colour",
    found.includes(null) && "unknown: in the colour of its kind",
    found.length === 0 && "not known of this network",
  ];
  const words = html("p", {}, `${mode.words}, ${notes.filter(Boolean).join("; ")}`);
  if (isOwn) return html("div", { class: "scale" }, words);
  const bar = html("div", { class: "ramp", "aria-hidden": "true" });
  for (let step = 0; step < STEPS; step += 1) {
    const swatch = html("i");
    swatch.style.background = colourAt(step / (STEPS - 1)).fill;
    bar.append(swatch);
  }
  const ticks = html("div", { class: "ticks" });
  for (const value of ticksOf(mode)) {
    const tick = html("span", {}, WRITTEN[mode.written](value));
    tick.style.left = `${100 * part(value)}%`;
    ticks.append(tick);
  }
  return html("div", { class: "scale" }, words, bar, ticks);
}

/** @param {ModeData} mode */
function ticksOf({ least, most, log, written }) {
  if (log || least === most) return ticksBetween(least, most, written === "bytes" ? 2 : 10);
  return [least, (least + most) / 2, most];
}

/** The ends, and powers of ten (of two for bytes) that are not too near to another or to an end. */
function ticksBetween(least, most, base) {
  if (least === most) return [most];
  const span = Math.log(most / least) / Math.log(base);
  const every = Math.max(1, Math.ceil(span / 3));
  const found = [least];
  const first = Math.log(least) / Math.log(base) + span * 0.18;
  for (let power = Math.ceil(first); power <= first + span * 0.64; power += every) found.push(base ** power);
  return [...found, most];
}

/** What a difference says of each box; of a closed one, what it says of those inside. @param {Store} store */
function compared(store) {
  const marks = changedPaths(store);
  const colours = (path) => {
    const kind = marks.get(path);
    // The colours of kinds would be taken for those of differences.
    return { fill: kind ? `var(--${kind}-fill)` : "var(--paper)" };
  };
  const told = new Set([...store.data.changes.map((one) => one.kind), ...marks.values()]);
  const kinds = Object.keys(SIGNS).filter((kind) => told.has(kind));
  const entries = kinds.map((kind) => {
    const swatch = html("i", { class: "swatch", "aria-hidden": "true" }, SIGNS[kind]);
    swatch.style.background = `var(--${kind}-fill)`;
    return html("span", { class: "entry" }, swatch, WORDS[kind] ?? kind);
  });
  const hasGhosts = [...store.network().entries.values()].some(({ box }) => box.look === "ghost");
  if (hasGhosts)
    entries.push(
      html("span", { class: "entry" }, html("i", { class: "swatch ghostly" }), "where something was removed"),
    );
  return {
    ...UNCOLOURED,
    colours,
    legend: kinds.length ? html("div", { class: "scale" }, html("p", {}, "Differences"), ...entries) : null,
  };
}
