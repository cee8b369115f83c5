// What a difference says of one node: what became of it, and what it costs before and after.

import { html } from "../dom.js";
import { alike, growth, signed } from "../numbers.js";
import { rows, section } from "../sections.js";

/** @typedef {import("../store.js").Store} Store */

export const SIGNS = { added: "+", removed: "−", changed: "~", moved: "›" };

/**
 * Nothing on other pages.
 *
 * @param {Store} store
 */
export function twinSection(store, path) {
  const { pairs, data, state } = store;
  if (!pairs) return null;
  const twin = pairs.counterpart(state.network, path);
  const [before, after] = state.network === pairs.after ? [twin, path] : [path, twin];
  const found = data.changes.filter((one) => one.before.includes(before) || one.after.includes(after));
  return section(
    "Before and after",
    ...found.map(({ kind, what }) => html("p", {}, `${SIGNS[kind]} ${kind}${what ? `: ${what}` : ""}`)),
    before !== after && before !== null && after !== null
      ? html("p", { class: "quiet" }, "before ", html("code", {}, before), ", after ", html("code", {}, after))
      : null,
    costs(
      before === null ? null : store.facts(before, pairs.before),
      after === null ? null : store.facts(after, pairs.after),
      store.box(path)?.look === "ghost" || found.some(({ kind }) => kind === "removed"),
    ),
  );
}

function costs(before, after, isRemoved) {
  const lines = [
    ["Parameters", "parameters"],
    ["MACs", "macs"],
  ]
    .map(([words, key]) => [words, before?.[key] ?? 0, isRemoved ? 0 : (after?.[key] ?? 0)])
    .filter(([, one, other]) => one || other);
  return lines.length ? comparison(lines) : null;
}

/** Rows of a name, and numbers before and after: in equal digits, with how much more the second is. */
export const comparison = (lines) =>
  rows(
    lines.map(([name, before, after]) => {
      const change = growth(after, before);
      return [name, ...alike([before, after]), change === 0 ? "=" : signed(change, (one) => alike([one])[0])];
    }),
    { class: "numbers" },
  );
