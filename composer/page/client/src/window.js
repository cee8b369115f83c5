// A long list, of which only what is near to what is seen has elements.

import { html } from "./dom.js";

/** A list of no more rows has all of them. */
const MANY = 400;
/** Rows beyond what is seen, on either side. */
const AROUND = 60;
const MARGIN = 20;

/**
 * Rows are counted from 1 and equally high.
 *
 * @param {HTMLElement} list  which scrolls
 * @param {(row: number) => HTMLElement} make
 * @param {() => void} onChange  after rows have come or gone
 */
export function createWindow(list, make, onChange) {
  const [above, below] = [html("div", { "aria-hidden": "true" }), html("div", { "aria-hidden": "true" })];
  /** @type {Map<number, HTMLElement>} */
  const rows = new Map();
  let length = 0;
  let high = 0;

  /** Shows another list from its start. */
  function show(count) {
    length = count;
    rows.clear();
    list.replaceChildren(above, below);
    list.scrollTop = 0;
    high = 0;
    fill();
  }

  function fill() {
    const [first, last] = range();
    for (const [row, element] of rows) {
      if (row >= first && row <= last) continue;
      // The focus stays in the list.
      if (element === document.activeElement) list.focus({ preventScroll: true });
      element.remove();
      rows.delete(row);
    }
    for (let row = last; row >= first; row -= 1) {
      if (rows.has(row)) continue;
      const element = make(row);
      list.insertBefore(element, rows.get(row + 1) ?? below);
      rows.set(row, element);
    }
    high ||= rows.get(first)?.offsetHeight ?? 0;
    above.style.height = `${(first - 1) * high}px`;
    below.style.height = `${(length - last) * high}px`;
    onChange();
  }

  function range() {
    if (length <= MANY) return [1, length];
    const from = high ? Math.floor(list.scrollTop / high) : 0;
    const seen = high ? Math.ceil(list.clientHeight / high) : AROUND;
    return [Math.max(1, from - AROUND), Math.min(length, from + seen + AROUND)];
  }

  list.addEventListener("scroll", () => {
    if (length > MANY) fill();
  });

  /** Scrolls inside the list alone: `scrollIntoView` would move the page as well. */
  function reveal(row) {
    high ||= rows.get(1)?.offsetHeight ?? 0;
    const top = (row - 1) * high;
    if (top < list.scrollTop + MARGIN || top + high > list.scrollTop + list.clientHeight - MARGIN)
      list.scrollTop = top - list.clientHeight / 3;
    if (length > MANY) fill();
  }

  return { rows, show, reveal };
}
