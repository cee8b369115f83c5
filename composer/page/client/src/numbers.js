// Numbers as people read them.

/** @type {[number, string][]} */
const LARGE = [
  [1e12, " T"],
  [1e9, " G"],
  [1e6, " M"],
  [1e3, " k"],
];

/** How many digits more than usual two numbers get that are almost equal. */
const MORE = 4;

/** All of a count: `28,088,024`; `unknown` of null. */
export const exact = (number) => (number === null ? "unknown" : number.toLocaleString("en-US"));

/** A count in three figures: `28.1 M`; `unknown` of null. */
export function short(number) {
  if (number === null) return "unknown";
  for (const [limit, letter] of LARGE) {
    // 999,999 has three figures as 1 M, not as 1000 k.
    if (Math.abs(number) >= 0.9995 * limit) return `${figures(number / limit)}${letter}`;
  }
  return figures(number);
}

/** Counts in one unit with equal digits: three figures of the largest, and more where they would look the same. */
export function alike(numbers) {
  const known = numbers.filter((one) => one !== null);
  const most = Math.max(0, ...known.map(Math.abs));
  const [limit, letter] = LARGE.find(([limit]) => most >= 0.9995 * limit) ?? [1, ""];
  const written = (digits) =>
    numbers.map((one) => (one === null ? "unknown" : `${(one / limit).toFixed(digits)}${letter}`));
  const least = limit === 1 ? 0 : 3 - String(Math.trunc(most / limit)).length;
  for (let digits = least; digits < least + MORE; digits += 1) {
    const found = written(digits);
    if (limit === 1 || new Set(found).size === new Set(numbers).size) return found;
  }
  return written(least);
}

/** Bytes: `1.5 MiB`. */
export function bytes(number) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let amount = number;
  let unit = 0;
  for (; Math.abs(amount) >= 1024 && unit < units.length - 1; unit += 1) amount /= 1024;
  return `${figures(amount)} ${units[unit]}`;
}

/** Seconds: `3.2 ms`. */
export function time(seconds) {
  if (seconds >= 1) return `${figures(seconds)} s`;
  return seconds >= 1e-3 ? `${figures(seconds * 1e3)} ms` : `${figures(seconds * 1e6)} µs`;
}

/** How much more the first is; null, not known, where one of them is. */
export const growth = (after, before) => (after === null || before === null ? null : after - before);

/** With its sign: `+2,530,992`; `unknown` of null. */
export function signed(number, written = exact) {
  if (number === null) return "unknown";
  return number < 0 ? `−${written(-number)}` : `+${written(number)}`;
}

/** A part of a whole in percent; what is there is never `0 %`. */
export function share(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  return part !== 0 && Math.abs(percent) < 0.01 ? "< 0.01 %" : `${Number(percent.toFixed(percent < 1 ? 2 : 1))} %`;
}

/** Three figures. */
const figures = (number) => String(Number(number.toPrecision(3)));

/** A part of 1 in percent. */
const part = (number) => (number > 0 && number < 1e-4 ? "< 0.01 %" : `${figures(100 * number)} %`);

/** How the numbers of a mode are written; as composer/draw/written.py. */
export const WRITTEN = { count: short, bytes, seconds: time, share: part, number: figures };
