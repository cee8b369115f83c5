// A box in words: for the pointer that rests on it, and for those who do not see it.

import { countOf } from "./measure.js";
import { visible } from "../text.js";

/** @typedef {import("../types.js").BoxData} BoxData */

/** Everything a box knows of itself, line by line. @param {BoxData} box */
export function tooltip(box) {
  const { copies, shapes = [], parameters = 0, holds = [] } = box;
  const what = box.detail || box.op;
  const lines = [copies ? `${copies[0]} … ${copies.at(-1)}: ${what}` : `${box.path}: ${what}`];
  for (const [output, shape] of shapes) lines.push(`${output || "gives"} ${shape}`);
  if (parameters) lines.push(`${parameters.toLocaleString("en")} parameters`);
  if (box.rule !== undefined) lines.push(`put in by rule ${box.rule + 1}`);
  if (box.kind === "block") for (const [, name, count] of holds) lines.push(`${name} in ${count} places`);
  if (box.look === "ghost") lines.push("was here, and was removed");
  if (box.problem) lines.push(box.problem);
  return lines.map(visible).join("\n");
}

/** What a screen reader says of a box. @param {BoxData} box */
export function spoken(box) {
  const parts = [box.label, box.detail && box.detail !== box.label ? box.detail : box.op];
  if (countOf(box) > 1) parts.push(`${countOf(box)} copies`);
  const shape = box.shapes?.[0]?.[1];
  if (shape) parts.push(`gives ${shape.replaceAll("×", " by ")}`);
  if (box.row) parts.push(box.row);
  if (box.rule !== undefined) parts.push(`put in by rule ${box.rule + 1}`);
  if (box.kind === "block") for (const [, name, count] of box.holds ?? []) parts.push(`holds ${count} ${name}`);
  if (box.look === "ghost") parts.push("removed");
  if (box.problem) parts.push(`mistake: ${box.problem}`);
  return visible([...new Set(parts)].join(", "));
}
