// The search field and its list of results.

import { html } from "./dom.js";
import { filtered } from "./condition/filter.js";
import { find, findables } from "./find.js";
import { visible } from "./text.js";
import { isCondition, WhereError } from "./condition/where.js";

/** @typedef {import("./store.js").Store} Store */

const MOST_SHOWN = 60;

/** @param {Store} store */
export function createSearch(store) {
  const input = html("input", {
    id: "query",
    type: "search",
    placeholder: "Search nodes",
    autocomplete: "off",
    spellcheck: "false",
    role: "combobox",
    "aria-label": "Search nodes by path, operation, line, or a condition",
    title: "Words, or a condition such as: stage >= 2 and kernel_size == 3",
    "aria-autocomplete": "list",
    "aria-controls": "results",
    "aria-expanded": "false",
  });
  const hint = html("kbd", { "aria-hidden": "true" }, "/");
  const count = html("span", { class: "count", role: "status" });
  const list = html("ul", {
    id: "results",
    role: "listbox",
    tabindex: "-1",
    "aria-label": "Nodes found",
    hidden: true,
  });
  const element = html("div", { class: "search over" }, input, hint, count, list);
  let all = null;
  let allOf = null;
  let found = [];
  let active = -1;

  function search() {
    const query = input.value;
    if (allOf !== store.state.network) [all, allOf] = [findables(store), store.state.network];
    const wrong = filter(query);
    active = found.length ? 0 : -1;
    list.replaceChildren(...found.slice(0, MOST_SHOWN).map(option));
    if (wrong) list.append(wrong);
    if (found.length > MOST_SHOWN)
      list.append(html("li", { class: "more", role: "presentation" }, `${found.length - MOST_SHOWN} more`));
    count.textContent = query.trim()
      ? found.length === 1
        ? "1 node"
        : `${found.length.toLocaleString("en")} nodes`
      : "";
    store.set({ query, found: query.trim() ? boxesOf(store, found) : null });
    show(query.trim() !== "" && (found.length > 0 || wrong !== null));
  }

  /** Finds what the words or the condition ask for; what is wrong with the condition, or null. */
  function filter(query) {
    if (!isCondition(query)) {
      found = find(all, query);
      return null;
    }
    try {
      const known = new Map(all.map((one) => [one.path, one]));
      found = filtered(store, query)
        .map((path) => known.get(path))
        .filter(Boolean);
      return null;
    } catch (error) {
      if (!(error instanceof WhereError)) throw error;
      found = [];
      return wrongOf(query, error);
    }
  }

  function option({ path, op, line }, index) {
    const item = html(
      "li",
      { id: `result-${index}`, role: "option", "aria-selected": String(index === active) },
      html("span", { class: "path" }, html("bdi", {}, visible(path))),
      html("span", { class: "what" }, [visible(op), visible(line)].filter(Boolean).join(" · ")),
    );
    item.addEventListener("click", () => choose(index));
    return item;
  }

  function show(isShown) {
    list.hidden = !isShown;
    input.setAttribute("aria-expanded", String(isShown));
    point();
  }

  function point() {
    [...list.children].forEach((item, index) => {
      if (item.getAttribute("role") === "option") item.setAttribute("aria-selected", String(index === active));
    });
    const item = list.hidden ? null : list.children[active];
    if (item) {
      input.setAttribute("aria-activedescendant", item.id);
      item.scrollIntoView({ block: "nearest" });
    } else input.removeAttribute("aria-activedescendant");
  }

  function choose(index) {
    active = index;
    point();
    store.select(found[index].path, { reveal: true });
    // The words stay; an arrow key brings the list back.
    show(false);
  }

  function move(by) {
    const most = Math.min(found.length, MOST_SHOWN);
    if (most === 0) return;
    if (list.hidden) show(true);
    else active = (active + by + most) % most;
    point();
  }

  input.addEventListener("input", search);
  input.addEventListener("focus", () => input.value.trim() && show(list.childElementCount > 0));
  element.addEventListener("focusout", (event) => {
    if (!element.contains(event.relatedTarget)) show(false);
  });
  // Keeps the focus in the field.
  list.addEventListener("mousedown", (event) => event.preventDefault());
  input.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown") move(1);
    else if (event.key === "ArrowUp") move(-1);
    else if (event.key === "Enter" && active >= 0) choose(active);
    else if (event.key === "Escape") leave();
    else return;
    event.preventDefault();
    event.stopPropagation();
  });

  /** The first time away from the list, then from the words, then to the drawing. */
  function leave() {
    if (!list.hidden) show(false);
    else if (input.value) {
      input.value = "";
      search();
    } else document.getElementById("drawing")?.focus();
  }

  store.subscribe((state, previous) => {
    if (state.network === previous.network || !input.value) return;
    const isShown = !list.hidden;
    search();
    if (!isShown) show(false);
  });
  return {
    element,
    focus() {
      input.focus();
      input.select();
    },
    set(query) {
      input.value = query;
      search();
      show(false);
    },
  };
}

/** A condition with its mistake marked, and what it is. */
function wrongOf(query, { message, offset, length }) {
  const mark = html("mark", {}, query.slice(offset, offset + length) || " ");
  return html(
    "li",
    { class: "wrong", role: "presentation" },
    html("code", {}, query.slice(0, offset), mark, query.slice(offset + length)),
    html("span", {}, message),
  );
}

/** The boxes that show some nodes, and the closed or open ones around them. @param {Store} store */
function boxesOf(store, found) {
  const network = store.network();
  const boxes = new Set(found.map(({ path }) => network.at(path)?.path).filter(Boolean));
  const around = new Set();
  for (const path of boxes) for (const one of network.around(path)) around.add(one);
  return { boxes, around };
}
