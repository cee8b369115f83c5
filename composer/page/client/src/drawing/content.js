// What a box looks like by itself, closed or open; as composer/draw/boxes.py.

import { assign, svg } from "../dom.js";
import * as measure from "./measure.js";
import { fit, sizeOf, visible, width } from "../text.js";

const BASELINE = 4;
const BADGE = 8;
const BUTTON = 7;
/** So far beyond a block's edge that its button does not touch the name. */
const ASIDE = 4;

/** A line of text; in any font it is as long as it was measured. */
export function text(content, x, y, kind = null) {
  const shown = visible(content);
  const length = width(shown, ...sizeOf(kind));
  const fixed = length ? { textLength: length, lengthAdjust: "spacingAndGlyphs" } : {};
  return svg("text", { x, y, class: kind, ...fixed }, shown);
}

/** A line whose words may give way to others, in the room that it has; see `tell`. */
function tellable(content, x, y, kind, room) {
  return assign(text(fit(content, measure.DETAIL_SIZE, room), x, y, `${kind} told`), {
    "data-own": content,
    "data-room": room,
  });
}

/** Says something else in a line, or what it says by itself. */
export function tell(element, words) {
  const shown = fit(words ?? element.dataset.own, measure.DETAIL_SIZE, Number(element.dataset.room));
  if (shown === element.textContent) return;
  element.textContent = shown;
  assign(element, { textLength: width(shown, measure.DETAIL_SIZE) || null, lengthAdjust: "spacingAndGlyphs" });
}

export function rectangle(x, y, wide, high, kind, radius = 4) {
  return svg("rect", { x, y, width: wide, height: high, rx: radius, class: kind });
}

/** The frame and head of an open block; what is inside is drawn by itself. */
export function openContent(box, wide, high, isDown) {
  const frame = rectangle(0, 0, wide, high, "box", 6);
  return [...sheets(box, wide, high), frame, ...head(box, wide, true), toggle(box, true, isDown)];
}

/** An operation, or a block that shows nothing of what it holds. */
export function closedContent(box, wide, high, isDown) {
  const body = high - (measure.countOf(box) > 1 ? measure.SHEETS : 0);
  const found = [...sheets(box, wide, body), rectangle(0, 0, wide, body, "box"), ...head(box, wide, !box.row)];
  let below = measure.ROW + 7;
  if (box.row) {
    const own = tellable(box.row, measure.PAD, below, "faint", width(box.row, measure.DETAIL_SIZE));
    found.push(own, ...pillsOf(box, wide, below));
    below += measure.SECOND_ROW;
  }
  for (const line of box.lines ?? []) {
    found.push(text(line, measure.PAD, below, "alarm label"));
    below += measure.LINE;
  }
  if (box.rule !== undefined) found.push(...badge(String(box.rule + 1), wide - 2, 1));
  if (box.inner) found.push(toggle(box, false, isDown));
  return found;
}

/** An input or output of the whole network. */
export function endContent(name, wide, high) {
  const shown = fit(visible(name), measure.NAME_SIZE, wide - measure.PAD);
  return [
    rectangle(0, 0, wide, high, "box", Math.floor(high / 2)),
    text(shown, Math.floor(wide / 2), Math.floor(high / 2) + BASELINE, "mid"),
  ];
}

/** The button that opens and closes a block, on the edge that no wire comes to. */
function toggle(box, isOpen, isDown) {
  const place = isDown ? [-ASIDE, measure.ROW / 2] : [measure.ROW / 2, -ASIDE];
  const sign = isOpen ? "M-3 0H3" : "M-3 0H3M0-3V3";
  return svg(
    "g",
    {
      class: "toggle",
      role: "button",
      tabindex: "-1",
      "aria-expanded": String(isOpen),
      "aria-label": `${isOpen ? "Close" : "Open"} ${box.label}`,
      transform: `translate(${place.join(" ")})`,
    },
    svg("circle", { class: "reach", r: 14 }),
    svg("circle", { class: "disc", r: BUTTON }),
    svg("path", { class: "sign", d: sign }),
  );
}

function badge(number, x, y) {
  return [svg("circle", { cx: x, cy: y, r: BADGE, class: "pill" }), text(number, x, y + BASELINE, "badge on mid")];
}

/** The name at the left; copies and what the box is at the right, which may give way to how much it has of something. */
function head(box, room, mayTell = false) {
  const y = measure.ROW / 2 + BASELINE;
  const found = [];
  let [left, right] = [measure.PAD, room - measure.PAD];
  if (measure.countOf(box) > 1) {
    const copies = `×${measure.countOf(box)}`;
    found.push(text(copies, right, y, "name end"));
    right -= width(copies, measure.NAME_SIZE, true) + 8;
  }
  const detail = box.detail ?? "";
  const wanted = width(detail, measure.DETAIL_SIZE);
  const most = Math.max(right - left - wanted - 10, Math.floor((right - left) / 2));
  const shown = fit(box.label, measure.NAME_SIZE, most, true);
  found.push(text(shown, left, y, "name"));
  left += width(shown, measure.NAME_SIZE, true) + 10;
  if (right - left > 20) {
    if (mayTell) found.push(tellable(detail, right, y, "faint end", right - left));
    else if (detail) found.push(text(fit(detail, measure.DETAIL_SIZE, right - left), right, y, "faint end"));
  }
  return found;
}

/** What attention rules put into a closed block, as far as there is room. */
function pillsOf(box, room, y) {
  const found = [];
  let right = room - measure.PAD;
  for (const words of measure.pills(box, room).reverse()) {
    const length = measure.pillLength(words);
    found.push(rectangle(right - length, y - 11, length, 15, "pill", 7));
    found.push(text(words, right - Math.floor(length / 2), y, "badge on mid"));
    right -= length + measure.PILL_GAP;
  }
  return found;
}

/** The edges of further copies under a box. */
function sheets(box, wide, high) {
  if (measure.countOf(box) < 2) return [];
  return [2, 1].map((sheet) => {
    const [inset, below] = [4 * sheet, 3 * sheet];
    return rectangle(inset, high - 12 + below, wide - 2 * inset, 12, "box sheet");
  });
}
