// Light colouring of Python and YAML: parts of lines in spans of their own, never markup.

import { html } from "./dom.js";

const PYTHON = [
  ["comment", /#.*/y],
  ["string", /"""[\s\S]*?"""|'''[\s\S]*?'''|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'/y],
  [
    "keyword",
    /\b(?:and|as|assert|class|def|elif|else|for|from|if|import|in|is|lambda|None|not|or|raise|return|self|True|False|while|with|yield)\b/y,
  ],
  ["number", /\b\d[\d_]*(?:\.\d+)?(?:e[+-]?\d+)?\b/y],
  ["", /[A-Za-z_]\w*|\s+|[\s\S]/y],
];

const YAML = [
  ["comment", /#.*/y, (text, at) => at === 0 || /\s/.test(text[at - 1])],
  ["expression", /\$\{[^}]*\}|\$\w+/y],
  ["key", /(?:[A-Za-z_][\w-]*|"[^"]*"|'[^']*')(?=\s*:(?:\s|$))/y],
  ["expression", /"[^"]*\$[^"]*"/y],
  ["string", /"[^"]*"|'[^']*'/y],
  ["number", /-?\d[\d.]*(?:e[+-]?\d+)?(?![\w.])/y],
  ["", /[A-Za-z_][\w-]*|\s+|[\s\S]/y],
];

/** The text in nodes, each part with the class of what it is. */
function coloured(text, rules) {
  const nodes = [];
  let plain = "";
  const flush = () => {
    if (plain) nodes.push(document.createTextNode(plain));
    plain = "";
  };
  for (let at = 0; at < text.length; ) {
    const [kind, found] = partAt(text, at, rules);
    at += found.length;
    if (!kind) plain += found;
    else {
      flush();
      nodes.push(html("span", { class: `t-${kind}` }, found));
    }
  }
  flush();
  return nodes;
}

function partAt(text, at, rules) {
  for (const [kind, pattern, isMeant] of rules) {
    pattern.lastIndex = at;
    const found = pattern.exec(text)?.[0];
    if (found && (!isMeant || isMeant(text, at))) return [kind, found];
  }
  return ["", text[at]];
}

/** @param {string} code */
export const python = (code) => coloured(code, PYTHON);

/** @param {string} line */
export const yaml = (line) => coloured(line, YAML);
