// What the panel says of one node.

import { copiesAlong } from "./copies.js";
import { html } from "./dom.js";
import { equationLines } from "./equation.js";
import { histogramOf, measuredOf } from "./measured.js";
import { bytes, exact, time } from "./numbers.js";
import { codeOf, lineLink, problemOf } from "./overview.js";
import { badge, bar, link, long, rows, section } from "./sections.js";
import { twinSection } from "./compare/twin.js";
import { traceButtons } from "./trace.js";

/** @typedef {import("./types.js").BoxData} BoxData */
/** @typedef {import("./types.js").FactsData} FactsData */
/** @typedef {import("./types.js").OperationData} OperationData */
/** @typedef {import("./store.js").Store} Store */
/** @typedef {import("./types.js").TablesData} TablesData */

/** @param {Store} store */
export function nodeSections(store, path) {
  const { tables } = store.data;
  const box = store.box(path);
  const facts = store.facts(path);
  if (!box || !facts)
    return [html("header", {}, html("h2", {}, path)), html("p", {}, "This node is not in the network that is shown.")];
  const about = tables.operations[facts.op] ?? {};
  return [
    head(store, path, box, facts, about),
    copies(store, path),
    traceButtons(store, path),
    twinSection(store, path),
    ...store.data.problems.filter((one) => one.path === path).map((one) => problemOf(store, one)),
    section("Place", place(store, facts)),
    section("Shapes", tensors(tables, facts)),
    section("Cost", cost(store, facts)),
    section("Measured", measuredOf(store, path)),
    section("Options", options(tables, facts)),
    section("Holds", contents(store, tables, path, facts)),
    section("Equation", about.math ? equationLines(about.math) : null),
    section("Paper", paper(about)),
    section("Weights", weights(store, path, facts)),
    codeOf(store, facts),
  ];
}

/**
 * The names that lead to it, what it is, and its path to copy.
 *
 * @param {Store} store
 * @param {BoxData} box
 * @param {FactsData} facts
 * @param {OperationData} about
 */
function head(store, path, box, facts, about) {
  const parts = path.split(".");
  const names = parts.map((name, index) => {
    const own = parts.slice(0, index + 1).join(".");
    if (index === parts.length - 1) return html("b", {}, name);
    return link(name, () => store.select(own, { reveal: true }), { title: own });
  });
  const trail = html(
    "nav",
    { class: "trail", "aria-label": "Path" },
    ...names.flatMap((name, index) => (index ? ["›", name] : [name])),
  );
  const swatch = html("span", { class: `swatch ${box.look}`, "aria-hidden": "true" });
  const plugin = about.plugin ? ` from ${about.plugin}` : "";
  const kind =
    facts.kind === "attention" ? `${about.kind} attention` : facts.kind === "missing" ? facts.state : facts.kind;
  return html(
    "header",
    {},
    html("div", { class: "where" }, trail, copier(path)),
    html("h2", {}, swatch, facts.op, html("small", {}, ` ${kind}${plugin}`)),
    facts.description || about.summary ? html("p", {}, facts.description ?? about.summary) : null,
  );
}

function copier(path) {
  const button = html(
    "button",
    { type: "button", class: "copy", title: `Copy ${path}`, "aria-label": `Copy the path ${path}` },
    "Copy",
  );
  button.addEventListener("click", async () => {
    // Files on disk may not write to the clipboard everywhere.
    const done = await navigator.clipboard?.writeText(path).then(
      () => true,
      () => false,
    );
    button.textContent = done ? "Copied" : "Cannot copy";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

/** Which copy of each folded box on the way is meant. @param {Store} store */
function copies(store, path) {
  const found = copiesAlong(store.network(), path);
  if (!found.length) return null;
  const choices = found.map(({ label, paths, index, rest }) => {
    const select = html(
      "select",
      {},
      ...paths.map((one, number) => html("option", { value: one + rest, selected: number === index }, one)),
    );
    select.addEventListener("change", () => store.select(select.value));
    return html(
      "label",
      {},
      html("span", {}, `Copy ${index + 1} of ${paths.length}`),
      select,
      html("span", { class: "hidden" }, `of ${label}`),
    );
  });
  return html("div", { class: "copies" }, ...choices);
}

/** @param {Store} store @param {FactsData} facts */
function place(store, facts) {
  const network = store.data.networks.find((one) => one.key === store.state.network);
  const rule = facts.rule === undefined ? null : network.rules?.[facts.rule];
  return [
    rule
      ? html(
          "p",
          {},
          badge(rule.number),
          ` put in by rule ${rule.number}: ${rule.use} ${rule.where}${rule.condition ? `, where ${rule.condition}` : ""}`,
        )
      : null,
    facts.sites?.length
      ? html("p", {}, "Site ", ...facts.sites.map((site) => html("code", { class: "site" }, site)))
      : null,
    ...(facts.shares ?? []).map(([child, owner]) =>
      html(
        "p",
        {},
        child ? `Its ${child} is shared: ` : "Its weights are shared: ",
        link(owner, () => store.select(owner, { reveal: true }), { class: "link mono" }),
      ),
    ),
    facts.line ? lineLink(store, facts.line[0], facts.line[1], "Written in ") : null,
    facts.defined ? lineLink(store, facts.defined[0], facts.defined[1], "Its block in ") : null,
  ];
}

/** @param {TablesData} tables @param {FactsData} facts */
function tensors(tables, facts) {
  const lines = ["in", "out"].flatMap((side) =>
    (facts[side] ?? []).map((end, index) => {
      const [name, number] = Array.isArray(end) ? end : ["", end];
      const [shape, layout] = tables.tensors[number];
      return [
        index ? "" : side,
        html("span", {}, name && `${name} `, html("b", {}, shape)),
        html("span", { class: "quiet mono" }, layout ?? ""),
      ];
    }),
  );
  return lines.length ? rows(lines, { class: "shapes" }) : null;
}

/** @param {Store} store @param {FactsData} facts */
function cost(store, facts) {
  const network = store.data.networks.find((one) => one.key === store.state.network);
  const whole = { ...network.facts, parameters: network.parameters, macs: network.macs };
  const written = { parameters: exact, macs: exact, memory: bytes, seconds: time };
  const words = { parameters: "Parameters", macs: "MACs", memory: "Activations", seconds: "Time" };
  const lines = Object.keys(words)
    .filter((key) => facts[key] !== undefined)
    .map((key) => [
      words[key],
      written[key](facts[key]),
      ...(facts[key] ? [html("span", { class: "share" }, ...bar(facts[key], whole[key]))] : []),
    ]);
  return lines.length && facts.kind !== "missing" ? rows(lines, { class: "numbers" }) : null;
}

const WHENCE = { given: "given", default: "default", place: "from its place" };

/**
 * What the spec gives is bold; what is as always is faint.
 *
 * @param {TablesData} tables
 * @param {FactsData} facts
 */
function options(tables, facts) {
  const found = facts.options === undefined ? [] : tables.options[facts.options];
  if (!found.length) return null;
  const lines = found.map(([name, value, whence, expression]) => {
    const own = html("span", { class: `value ${whence}` }, value);
    return [
      name,
      expression ? html("span", {}, own, html("small", { class: "mono" }, expression)) : own,
      html("span", { class: "whence" }, WHENCE[whence]),
    ];
  });
  return rows(lines, { class: "options" });
}

/**
 * How many of which operations are in a block, and what is right inside.
 *
 * @param {Store} store
 * @param {TablesData} tables
 * @param {FactsData} facts
 */
function contents(store, tables, path, facts) {
  if (facts.contents === undefined) return null;
  const counts = tables.contents[facts.contents]
    .map(([op, count]) => (count > 1 ? `${exact(count)} × ${op}` : op))
    .join(", ");
  const start = `${path}.`;
  const inside = [...store.allFacts().keys()].filter(
    (one) => one.startsWith(start) && !one.slice(start.length).includes("."),
  );
  const list = html("details", {}, html("summary", {}, `${exact(inside.length)} right inside`));
  list.addEventListener("toggle", () => {
    if (list.childElementCount > 1) return;
    list.append(
      long(inside, 100, (one) =>
        link(`${one.slice(start.length)}  ${store.facts(one).op}`, () => store.select(one, { reveal: true }), {
          class: "link mono",
        }),
      ),
    );
  });
  return [html("p", {}, counts), inside.length ? list : null];
}

/** @param {OperationData} about */
function paper(about) {
  if (!about.source) return null;
  const text = about.link
    ? html("a", { href: about.link, target: "_blank", rel: "noreferrer noopener" }, about.source)
    : about.source;
  const departs =
    about.departs && !/^nothing\.?$/i.test(about.departs)
      ? html("p", {}, html("b", {}, "Departs: "), about.departs)
      : null;
  return [
    html("p", {}, text),
    departs ?? (about.departs ? html("p", { class: "quiet" }, "Departs in nothing.") : null),
  ];
}

/** @param {Store} store @param {FactsData} facts */
function weights(store, path, facts) {
  if (facts.weights === undefined)
    return facts.contents !== undefined && facts.parameters
      ? html("p", {}, "Keys begin with ", html("code", {}, `${path}.`))
      : null;
  const lines = store.data.tables.weights[facts.weights].map(([key, shape, kind]) => {
    const name = key ? `${path}.${key}` : path;
    return [
      html("span", {}, html("code", {}, name), histogramOf(store, name)),
      html("span", { class: kind ? "quiet" : "" }, kind ? `${shape} ${kind}` : shape),
    ];
  });
  return rows(lines, { class: "weights" });
}
