// The YAML of the network: a line selects what is made on it, what is selected shows its line.

import { html } from "./dom.js";
import { indexLines, shortNames } from "./lines.js";
import { yaml } from "./tokens.js";
import { createWindow } from "./window.js";

/** @typedef {import("./store.js").Store} Store */

/** @param {HTMLElement} element @param {Store} store */
export function mountSource(element, store) {
  const { files, problems } = store.data;
  if (!files.length) return;
  const names = shortNames(files.map((file) => file.name));
  const tabs = html("div", { class: "tabs", role: "tablist", "aria-label": "Files" });
  const list = html("div", { class: "lines", role: "tabpanel", id: "source-lines", tabindex: "-1" });
  const status = html("p", { class: "made", role: "status" });
  const shown = createWindow(list, row, mark);
  let file = 0;
  let stretches = null;
  let texts = [];
  let wrong = new Set();
  let roving = 0;
  let isStale = true;
  let isClicked = false;

  names.forEach((name, number) => {
    const tab = html(
      "button",
      { type: "button", role: "tab", id: `source-tab-${number}`, "aria-controls": list.id, title: files[number].name },
      name,
    );
    tab.addEventListener("click", () => show(number));
    tab.addEventListener("keydown", (event) => alongTabs(event, number));
    tabs.append(tab);
  });
  element.append(tabs, list, status);

  function alongTabs(event, number) {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    event.preventDefault();
    const next = (number + step + names.length) % names.length;
    show(next);
    tabs.children[next].focus();
  }

  /** Shows a file; its lines are made once somebody looks. */
  function show(number) {
    file = number;
    isStale = true;
    [...tabs.children].forEach((tab, index) => {
      tab.setAttribute("aria-selected", String(index === file));
      tab.setAttribute("tabindex", index === file ? "0" : "-1");
    });
    list.setAttribute("aria-labelledby", `source-tab-${file}`);
    if (store.state.source) fill();
  }

  function fill() {
    if (!isStale) return;
    isStale = false;
    stretches ??= indexLines(store);
    wrong = new Set(problems.filter((one) => one.file === file).map((one) => one.line));
    texts = files[file].text.replace(/\n$/, "").split(/\r\n|\r|\n/);
    roving = made()[0] ?? 0;
    // Without a line to reach, the pane itself is, so that keys can scroll it.
    list.setAttribute("tabindex", roving ? "-1" : "0");
    shown.show(texts.length);
  }

  /** The numbers of the lines that make something. */
  const made = () => texts.map((_, index) => index + 1).filter((line) => stretches[file].byLine[line]);

  function row(line) {
    const stretch = stretches[file].byLine[line];
    const isFirstOfMany = stretch?.start === line && stretch.paths.length > 1;
    const count = html("span", { class: "count" }, isFirstOfMany ? `×${stretch.paths.length}` : "");
    const words = html("code", {}, ...yaml(texts[line - 1]));
    const parts = [html("span", { class: "number" }, String(line)), count, words];
    const classes = ["line", stretch && "makes", wrong.has(line) && "wrong"].filter(Boolean).join(" ");
    if (!stretch) return html("div", { class: classes }, ...parts);
    const button = html("button", { type: "button", class: classes, tabindex: line === roving ? "0" : "-1" }, ...parts);
    button.addEventListener("click", () => choose(stretch));
    return button;
  }

  /** Selects the first of the nodes that a line makes, and the next one when it is chosen again. */
  function choose(stretch) {
    const at = stretch.paths.indexOf(store.state.selected);
    isClicked = true;
    store.select(stretch.paths[(at + 1) % stretch.paths.length], { reveal: true });
    isClicked = false;
    mark();
  }

  /** Marks the lines of what is selected. */
  function mark() {
    const at = lineOf(store);
    const { selected } = store.state;
    const stretch = at && at[0] === file ? stretches[file].byLine[at[1]] : null;
    const wanted = selected !== null && stretch?.paths.includes(selected) ? stretch : null;
    for (const [line, one] of shown.rows) {
      const isCurrent = wanted
        ? line >= wanted.start && line <= wanted.end
        : at !== null && at[0] === file && line === at[1];
      one.classList.toggle("current", isCurrent);
      if (one.matches("button")) one.setAttribute("aria-pressed", String(isCurrent));
    }
    status.textContent =
      wanted && wanted.paths.length > 1
        ? `${wanted.paths.indexOf(selected) + 1} of ${wanted.paths.length}: ${selected}`
        : "";
  }

  /** Makes a line the one that Tab comes to. */
  function rove(line) {
    if (!stretches[file].byLine[line]) return;
    shown.rows.get(roving)?.setAttribute("tabindex", "-1");
    roving = line;
    shown.rows.get(line)?.setAttribute("tabindex", "0");
  }

  list.addEventListener("keydown", (event) => {
    const at = [...shown.rows].find(([, one]) => one === document.activeElement)?.[0];
    const lines = made();
    const here = lines.indexOf(at);
    const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: lines.length - 1 }[event.key];
    if (at === undefined || next === undefined) return;
    event.preventDefault();
    const line = lines[Math.max(0, Math.min(next, lines.length - 1))];
    rove(line);
    shown.reveal(line);
    shown.rows.get(line).focus();
  });

  function follow() {
    const at = lineOf(store);
    if (at && at[0] !== file && !isClicked) show(at[0]);
    fill();
    mark();
    if (isClicked || !at || at[0] !== file || element.hidden) return;
    rove(at[1]);
    shown.reveal(at[1]);
  }

  store.subscribe((state, previous) => {
    if (state.network !== previous.network) {
      stretches = null;
      show(file);
    }
    // A line that was asked for counts until something else is selected.
    if (state.selected !== previous.selected && state.line && state.line === previous.line) store.set({ line: null });
    else if (!state.source) return;
    // It is laid out once it is shown.
    else if (!previous.source) queueMicrotask(follow);
    else if (state.selected !== previous.selected || state.line !== previous.line) follow();
  });
  show(0);
}

/** File and line of what is selected, or of what was asked for. @param {Store} store */
function lineOf(store) {
  const { selected, line } = store.state;
  return line ?? (selected === null ? null : (store.facts(selected)?.line ?? null));
}

/** Opens the pane at a line, whatever is made there. @param {Store} store */
export function showLine(store, [file, line]) {
  store.set({ source: true, line: [file, line] });
}
