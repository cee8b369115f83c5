// A ramp of colours from little to much: its lightness grows evenly, for every kind of colour vision and in print.
// Its hues, from cyan by blue to violet, are far from the orange of what is inserted.

/** Lightness, chroma and hue in OKLCH, from little to much; the more, the farther from the paper. */
const LIGHT = [
  [0.97, 0.02, 200],
  [0.635, 0.12, 235],
  [0.3, 0.13, 285],
];
const DARK = [
  [0.25, 0.05, 285],
  [0.585, 0.12, 235],
  [0.92, 0.07, 200],
];
/** On what is darker than this white is easier to read than black; both have a contrast of 4.58 there. */
const HALF = 0.179;

/** The colours of a part between 0 and 1, on light paper and on dark: of a fill, and of the words on it. */
export function rampAt(part) {
  const pair = [LIGHT, DARK].map((stops) => linear(between(stops, part)));
  const inks = pair.map((one) => (luminance(one) > HALF ? "#000" : "#fff"));
  return { fill: `light-dark(${pair.map(written).join(", ")})`, ink: `light-dark(${inks.join(", ")})` };
}

/** Straight from stop to stop in lightness, chroma and hue. */
function between(stops, part) {
  const at = Math.min(stops.length - 2, Math.floor(part * (stops.length - 1)));
  const share = part * (stops.length - 1) - at;
  return stops[at].map((from, axis) => from + (stops[at + 1][axis] - from) * share);
}

/** OKLCH as linear red, green and blue. */
function linear([lightness, chroma, hue]) {
  const [a, b] = [chroma * Math.cos((hue * Math.PI) / 180), chroma * Math.sin((hue * Math.PI) / 180)];
  const l = (lightness + 0.3963377774 * a + 0.2158037573 * b) ** 3;
  const m = (lightness - 0.1055613458 * a - 0.0638541728 * b) ** 3;
  const s = (lightness - 0.0894841775 * a - 1.291485548 * b) ** 3;
  const found = [
    4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s,
    -1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s,
    -0.0041960863 * l - 0.7034186147 * m + 1.707614701 * s,
  ];
  return found.map((one) => Math.max(0, Math.min(1, one)));
}

function luminance(channels) {
  const [red, green, blue] = channels;
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function written(channels) {
  const curved = channels.map((one) => (one <= 0.0031308 ? 12.92 * one : 1.055 * one ** (1 / 2.4) - 0.055));
  return `rgb(${curved.map((one) => Math.round(255 * one)).join(" ")})`;
}
