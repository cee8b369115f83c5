// How large the words in boxes are; as composer/draw/measure.py, which measures the boxes themselves.

import { width } from "../text.js";

export const NAME_SIZE = 12;
export const DETAIL_SIZE = 11;
export const LABEL_SIZE = 10;
export const PAD = 9;
export const ROW = 24;
export const SECOND_ROW = 15;
export const LINE = 13;
export const SHEETS = 6;
export const PILL_GAP = 4;

export const pillLength = (words) => width(words, LABEL_SIZE, true) + 14;

export const countOf = (box) => box.copies?.length || 1;

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
