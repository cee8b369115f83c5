// Which line of a spec made which nodes, and which lines belong together.

/** @typedef {import("./store.js").Store} Store */

/** @typedef {{start: number, end: number, paths: string[]}} Stretch  lines that make something */

/**
 * The stretches of each file by their lines, for the network that is shown: of stretches in one another, a line
 * belongs to the innermost.
 * @param {Store} store
 */
export function indexLines(store) {
  const files = store.data.files.map((file) => ({ starts: new Map(), byLine: [], spans: file.spans ?? {} }));
  for (const [path, facts] of store.allFacts()) {
    note(files, facts.line, path, facts);
    note(files, facts.defined, path, facts);
  }
  for (const file of files) {
    const stretches = [...file.starts.values()].map(onlyMechanisms);
    stretches.sort((one, other) => other.end - other.start - (one.end - one.start));
    for (const stretch of stretches) paint(file.byLine, stretch);
  }
  return files;
}

function note(files, line, path, facts) {
  if (!line) return;
  const [number, start] = line;
  const { starts, spans } = files[number];
  if (!starts.has(start)) starts.set(start, { start, end: spans[start] ?? start, paths: [], mechanisms: [] });
  const stretch = starts.get(start);
  stretch.paths.push(path);
  if (facts.rule !== undefined && facts.kind === "attention") stretch.mechanisms.push(path);
}

/** Of a rule's line, the mechanisms: what stands around them only helps. */
const onlyMechanisms = ({ start, end, paths, mechanisms }) => ({
  start,
  end,
  paths: mechanisms.length ? mechanisms : paths,
});

function paint(byLine, stretch) {
  for (let line = stretch.start; line <= stretch.end; line += 1) byLine[line] = stretch;
}

/** Names of files, with as many of their folders as tell them apart. */
export function shortNames(names) {
  return names.map((name) => {
    const parts = name.split("/");
    for (let count = 1; count < parts.length; count += 1) {
      const short = parts.slice(-count).join("/");
      if (names.filter((other) => other === short || other.endsWith(`/${short}`)).length === 1) return short;
    }
    return name;
  });
}
