// How large words and ends are; as composer/draw/measure.py, which measures closed boxes itself.

import { visible, width } from "./text.js";

export const NAME_SIZE = 12;
export const DETAIL_SIZE = 11;
export const LABEL_SIZE = 10;
export const PAD = 9;
export const ROW = 24;
export const SECOND_ROW = 15;
export const LINE = 13;
export const HEADER = 24;
export const FRAME = 16;
export const SHEETS = 6;
export const LEAST = 104;
export const MOST = 250;
export const LABEL_ROW = 13;
export const BESIDE = 5;
export const BELOW = 11;
export const PORT = 12;
export const PILL_GAP = 4;

export const labelWidth = (shape) => width(shape, LABEL_SIZE);

export const pillLength = (words) => width(words, LABEL_SIZE, true) + 14;

/** The width of an input or output of the whole network. */
export const pillWidth = (name) => Math.max(64, Math.min(MOST, width(visible(name), NAME_SIZE) + 3 * PAD));

export const countOf = (box) => box.copies?.length || 1;

/** The width that all closed boxes of a view have. */
export function commonWidth(view, inside) {
  let needed = 0;
  view.boxes.forEach((box, at) => {
    if (!inside[at]) needed = Math.max(needed, box.size[0]);
  });
  return Math.max(LEAST, Math.min(MOST, needed));
}

/** The room that a closed block needs for its second row with these pills. */
function secondRow(box, words) {
  const taken = words.reduce((sum, one) => sum + pillLength(one) + PILL_GAP, 0);
  return 2 * PAD + width(box.row ?? "", DETAIL_SIZE) + 8 + taken;
}

/** What a closed block holds of each rule, in the room that it has; `+2` for what does not fit. */
export function pills(box, room) {
  const every = box.pills ?? [];
  for (let shown = every.length; shown >= 0; shown--) {
    const some = every.slice(0, shown);
    if (shown < every.length) some.push(`+${every.length - shown}`);
    if (secondRow(box, some) <= room) return some;
  }
  return [];
}
