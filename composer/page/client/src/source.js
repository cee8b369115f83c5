// The YAML of the network: a line selects what is made on it, what is selected shows its line.

import { html } from "./dom.js";
import { indexLines, shortNames } from "./lines.js";
import { yaml } from "./tokens.js";

/** @typedef {import("./store.js").Store} Store */

/** @param {HTMLElement} element @param {Store} store */
export function mountSource(element, store) {
  const { files, problems } = store.data;
  if (!files.length) return;
  const names = shortNames(files.map((file) => file.name));
  const tabs = html("div", { class: "tabs", role: "tablist", "aria-label": "Files" });
  const list = html("div", { class: "lines", role: "tabpanel", id: "source-lines", tabindex: "-1" });
  const status = html("p", { class: "made", role: "status" });
  let file = 0;
  let stretches = indexLines(store);
  let rows = [];
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

  /** Shows a file; the lines are made anew only where it is another, or the network is. */
  function show(number) {
    file = number;
    [...tabs.children].forEach((tab, index) => {
      tab.setAttribute("aria-selected", String(index === file));
      tab.setAttribute("tabindex", index === file ? "0" : "-1");
    });
    list.setAttribute("aria-labelledby", `source-tab-${file}`);
    const wrong = new Set(problems.filter((one) => one.file === file).map((one) => one.line));
    rows = files[file].text
      .replace(/\n$/, "")
      .split(/\r\n|\r|\n/)
      .map((text, index) => row(text, index + 1, wrong));
    const first = rows.find((one) => one.matches("button"));
    first?.setAttribute("tabindex", "0");
    // Without a line to reach, the pane itself is, so that keys can scroll it.
    list.setAttribute("tabindex", first ? "-1" : "0");
    list.replaceChildren(...rows);
    mark(false);
  }

  function row(text, line, wrong) {
    const stretch = stretches[file].byLine[line];
    const isFirstOfMany = stretch?.start === line && stretch.paths.length > 1;
    const count = html("span", { class: "count" }, isFirstOfMany ? `×${stretch.paths.length}` : "");
    const parts = [html("span", { class: "number" }, String(line)), count, html("code", {}, ...yaml(text))];
    const classes = ["line", stretch && "makes", wrong.has(line) && "wrong"].filter(Boolean).join(" ");
    if (!stretch) return html("div", { class: classes }, ...parts);
    const button = html("button", { type: "button", class: classes, tabindex: "-1" }, ...parts);
    button.addEventListener("click", () => choose(stretch));
    return button;
  }

  /** Selects the first of the nodes that a line makes, and the next one when it is chosen again. */
  function choose(stretch) {
    const at = stretch.paths.indexOf(store.state.selected);
    isClicked = true;
    store.select(stretch.paths[(at + 1) % stretch.paths.length], { reveal: true });
    isClicked = false;
    mark(false);
  }

  /** Marks the lines of what is selected. */
  function mark(isMoved) {
    const at = lineOf(store);
    const selected = store.state.selected;
    const stretch = at && at[0] === file ? stretches[file].byLine[at[1]] : null;
    const wanted = selected !== null && stretch?.paths.includes(selected) ? stretch : null;
    rows.forEach((one, index) => {
      const line = index + 1;
      const isCurrent = wanted
        ? line >= wanted.start && line <= wanted.end
        : at !== null && at[0] === file && line === at[1];
      one.classList.toggle("current", isCurrent);
      if (one.matches("button")) one.setAttribute("aria-pressed", String(isCurrent));
    });
    status.textContent =
      wanted && wanted.paths.length > 1
        ? `${wanted.paths.indexOf(selected) + 1} of ${wanted.paths.length}: ${selected}`
        : "";
    if (isMoved && at && at[0] === file) inView(at[1]);
  }

  /** Scrolls inside the pane alone: `scrollIntoView` would move the page as well. */
  function inView(line) {
    const one = rows[line - 1];
    if (!one || element.hidden) return;
    rove(one);
    const [top, bottom] = [one.offsetTop - list.offsetTop, one.offsetTop - list.offsetTop + one.offsetHeight];
    if (top < list.scrollTop + 20 || bottom > list.scrollTop + list.clientHeight - 20) {
      list.scrollTop = top - list.clientHeight / 3;
    }
  }

  function rove(one) {
    if (!one.matches("button")) return;
    for (const other of rows) if (other.getAttribute("tabindex") === "0") other.setAttribute("tabindex", "-1");
    one.setAttribute("tabindex", "0");
  }

  list.addEventListener("keydown", (event) => {
    const at = rows.indexOf(document.activeElement);
    const made = rows.filter((one) => one.matches("button"));
    const here = made.indexOf(rows[at]);
    const next = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: made.length - 1 }[event.key];
    if (at < 0 || next === undefined) return;
    event.preventDefault();
    const one = made[Math.max(0, Math.min(next, made.length - 1))];
    rove(one);
    one.focus();
  });

  function follow(isMoved) {
    const at = lineOf(store);
    if (at && at[0] !== file && !isClicked) show(at[0]);
    mark(isMoved && !isClicked);
  }

  store.subscribe((state, previous) => {
    if (state.network !== previous.network) {
      stretches = indexLines(store);
      show(file);
    }
    // A line that was asked for counts until something else is selected.
    if (state.selected !== previous.selected && state.line && state.line === previous.line) store.set({ line: null });
    else if (state.selected !== previous.selected || state.line !== previous.line) follow(true);
    // It is laid out once it is shown.
    else if (state.source && !previous.source) queueMicrotask(() => follow(true));
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
