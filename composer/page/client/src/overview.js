// What the panel says of the whole network: totals, what attention added and where, and what is wrong.

import { html } from "./dom.js";
import { bytes, exact, growth, share, short, signed, time } from "./numbers.js";
import { python } from "./tokens.js";
import { badge, link, long, rows, section } from "./sections.js";
import { shortNames } from "./lines.js";
import { showLine } from "./source.js";
import { SIGNS, comparison } from "./compare/twin.js";

/** @typedef {import("./types.js").FactsData} FactsData */
/** @typedef {import("./types.js").ProblemData} ProblemData */
/** @typedef {import("./types.js").RuleData} RuleData */
/** @typedef {import("./store.js").Store} Store */

/** @param {Store} store */
export function networkSections(store) {
  const { data } = store;
  const network = data.networks.find((one) => one.key === store.state.network);
  const isCompared = Boolean(data.changes);
  return [
    html(
      "header",
      {},
      html(
        "h2",
        {},
        data.networks.length > 1 && !isCompared
          ? `${data.name}, ${network.label}`
          : isCompared
            ? network.label
            : data.name,
      ),
      network.description ? html("p", {}, network.description) : null,
    ),
    section(
      "Mistakes",
      data.problems.map((problem) => problemOf(store, problem)),
    ),
    network.takes ? section("Shapes", html("p", { class: "flow" }, `${network.takes} → ${network.gives}`)) : null,
    isCompared ? null : section("Totals", totals(network)),
    isCompared ? section("Differences", differences(store)) : section("Attention", attention(store)),
    ...(isCompared ? [] : (network.rules ?? []).map((rule, index) => ruleSection(store, rule, index))),
    codeOf(store, network.facts),
  ];
}

function totals(network) {
  const { facts } = network;
  const lines = [
    ["Parameters", exact(network.parameters)],
    ["MACs", exact(network.macs)],
  ];
  if (facts.memory !== undefined) lines.push(["Activations", `${bytes(facts.memory)} per example`]);
  if (facts.seconds !== undefined) lines.push(["Time", time(facts.seconds)]);
  return network.parameters || network.macs !== null ? rows(lines, { class: "numbers" }) : null;
}

/** What all rules together changed. @param {Store} store */
function attention(store) {
  const [composed, base] = store.data.networks;
  if (!base) return null;
  const lines = [
    ["Parameters", "parameters"],
    ["MACs", "macs"],
  ].map(([words, key]) => {
    const change = growth(composed[key], base[key]);
    return [words, `${signed(change)}`, change ? signedShare(change, base[key]) : ""];
  });
  if (base.facts.memory !== undefined && composed.facts.memory !== undefined) {
    const change = composed.facts.memory - base.facts.memory;
    lines.push(["Activations", signed(change, bytes), signedShare(change, base.facts.memory)]);
  }
  return rows(lines, { class: "numbers" });
}

const signedShare = (change, whole) => (change < 0 ? `−${share(-change, whole)}` : `+${share(change, whole)}`);

/** @param {Store} store @param {RuleData} rule */
function ruleSection(store, rule, index) {
  const places = [...store.allFacts()]
    .filter(([, facts]) => facts.rule === index && facts.kind === "attention")
    .map(([path]) => path);
  const where = [rule.where, rule.condition && `where ${rule.condition}`, rule.start && `start: ${rule.start}`]
    .filter(Boolean)
    .join(", ");
  const numbers =
    rule.parameters === undefined
      ? ""
      : `${signed(rule.parameters, short)} parameters, ${signed(rule.macs, short)} MACs`;
  const title = html("h3", { class: "rule" }, badge(rule.number), ` ${rule.use || "removed"}`);
  const list = places.length
    ? html("details", {}, html("summary", {}, `${exact(rule.places)} ${rule.places === 1 ? "place" : "places"}`))
    : null;
  // Only who opens it needs a button for each.
  list?.addEventListener(
    "toggle",
    () => list.childElementCount === 1 && list.append(long(places, 100, (path) => pathLink(store, path))),
  );
  return html(
    "section",
    {},
    ...[
      title,
      rule.description && html("p", {}, rule.description),
      html("p", {}, where),
      numbers && html("p", { class: "quiet" }, numbers),
      lineLink(store, rule.file, rule.line),
      list,
    ].filter(Boolean),
  );
}

const pathLink = (store, path) => link(path, () => store.select(path, { reveal: true }), { class: "link mono" });

/** `line 12 of se_resnet50.yaml`, as a button that shows it. @param {Store} store */
export function lineLink(store, file, line, words = "") {
  if (file === undefined) return null;
  const name = shortNames(store.data.files.map((one) => one.name))[file];
  return html(
    "p",
    { class: "written" },
    words,
    link(`line ${line} of ${name}`, () => showLine(store, [file, line])),
  );
}

/** @param {Store} store @param {ProblemData} problem */
export function problemOf(store, problem) {
  const box = problem.path && store.box(problem.path);
  // Carets stand under what they mean; words may go on in another line.
  const lines = problem.text
    .split("\n")
    .map((line) => html("span", { class: /^ *\d* (\||-->)/.test(line) ? "excerpt" : "" }, line || " "));
  return html(
    "div",
    { class: "problem" },
    html("pre", { tabindex: "0", "aria-label": problem.message }, ...lines),
    ...[
      lineLink(store, problem.file, problem.line),
      box && box.path === problem.path && !problem.path.includes(":") ? pathLink(store, problem.path) : null,
    ].filter(Boolean),
  );
}

/**
 * Changes of one sort are one row; choosing it goes to the first of its nodes, then on to the next.
 *
 * @param {Store} store
 */
function differences(store) {
  const { changes, networks, totals: lines } = store.data;
  const named = lines.map(([name, ...numbers]) => [
    name === "MACs" ? name : name[0].toUpperCase() + name.slice(1),
    ...numbers,
  ]);
  const list = html("ul", { class: "changes" });
  for (const change of changes) {
    const side = change.after.length ? "after" : "before";
    const key = networks[side === "after" ? 0 : 1].key;
    let at = -1;
    const words = html("span", {}, html("b", {}, change.nodes), ` ${change.operation}`);
    const count = Math.max(change.before.length, change.after.length);
    const numbers = [
      change.parameters && `${signed(change.parameters, short)} parameters`,
      change.macs !== 0 && `${signed(change.macs, short)} MACs`,
    ];
    const small = [count > 1 && `×${count}`, change.what, ...numbers].filter(Boolean).join(", ");
    const button = html(
      "button",
      { type: "button", class: `change ${change.kind}` },
      html("span", { class: "sign", "aria-label": change.kind }, SIGNS[change.kind]),
      html("span", {}, words, html("small", {}, small)),
    );
    button.addEventListener("click", () => {
      at = (at + 1) % change[side].length;
      store.set({ network: key });
      store.select(change[side][at], { reveal: true });
    });
    list.append(html("li", {}, button));
  }
  return [comparison(named), changes.length ? list : html("p", {}, "The two compute the same.")];
}

/**
 * The code of a node, light in colours.
 *
 * @param {Store} store
 * @param {FactsData} facts
 */
export function codeOf(store, facts) {
  const found = facts?.code === undefined ? null : store.data.tables.codes[facts.code];
  if (!found) return null;
  const [heading, text] = found;
  const name = heading === "PyTorch" ? "PyTorch’s own layer" : `Forward of ${heading}`;
  return section(
    "Code",
    html("p", { class: "quiet" }, name),
    html("pre", { class: "code", tabindex: "0", "aria-label": name }, html("code", {}, ...python(text))),
  );
}
