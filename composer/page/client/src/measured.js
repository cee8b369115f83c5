// What was measured of a node: its numbers, and how its weights are distributed.

import { html, svg } from "./dom.js";
import { WRITTEN } from "./numbers.js";
import { numberOf } from "./scale.js";
import { rows } from "./sections.js";

/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./types.js").HistogramData} HistogramData */

const HEIGHT = 26;
const HIGHEST = 255;
const BINS = 64;

/** A row for each number that is not among the facts. @param {Store} store */
export function measuredOf(store, path) {
  const lines = store.data.modes
    .filter((mode) => !mode.fact)
    .map((mode) => [mode, numberOf(store, path, mode)])
    .filter(([, number]) => number !== undefined)
    .map(([mode, number]) => {
      const words = html("span", { title: mode.words }, mode.name);
      return [words, number === null ? "unknown" : WRITTEN[mode.written](number)];
    });
  return lines.length ? rows(lines, { class: "numbers" }) : null;
}

/** The distribution of a tensor by its key; null where it is not known. @param {Store} store */
export function histogramOf(store, key) {
  const isFirst = store.state.network === store.data.networks[0].key;
  const found = isFirst ? store.data.histograms?.[key] : undefined;
  return found ? drawn(found) : null;
}

/** @param {HistogramData} histogram */
function drawn({ bars, least, most, mean, std, lost }) {
  const write = WRITTEN.number;
  const words = `mean ${write(mean)}, deviation ${write(std)}${lost ? `, ${lost} not finite` : ""}`;
  if (!bars) return html("small", { class: "histogram" }, lost ? words : `all ${write(least)}`);
  const heights = [...atob(bars)].map((one) => (HEIGHT * one.charCodeAt(0)) / HIGHEST);
  const steps = heights.map(
    (height, bin) => `M${bin} ${HEIGHT}v${-Math.max(height, height && 1).toFixed(1)}h1V${HEIGHT}z`,
  );
  const size = { viewBox: `0 0 ${BINS} ${HEIGHT}`, preserveAspectRatio: "none" };
  const label = `Distribution from ${write(least)} to ${write(most)}, ${words}`;
  return html(
    "div",
    { class: "histogram" },
    svg("svg", { ...size, role: "img", "aria-label": label }, svg("path", { d: steps.join("") })),
    html(
      "small",
      { "aria-hidden": "true" },
      html("span", {}, write(least)),
      html("span", { title: words }, `${write(mean)} ± ${write(std)}`),
      html("span", {}, write(most)),
    ),
  );
}
