// How wide text is, by the table of characters that Python wrote; as composer/draw/text.py.

const UNKNOWN = 667;
const USUAL = 11;
/** Classes of the style sheet by their size and whether they are bold. */
const KINDS = { name: [12, true], label: [10, false], title: [17, true], badge: [10, true] };
let tables = [{}, {}];

/**
 * @param {Record<string, number>[]} characters  thousandths of the size, regular and bold
 */
export function setCharacters(characters) {
  tables = characters;
}

/** Pixels a line of text takes, rounded up. */
export function width(text, size, bold = false) {
  const table = tables[bold ? 1 : 0];
  let thousandths = 0;
  for (const character of text) thousandths += table[character] ?? UNKNOWN;
  return Math.ceil((thousandths * size) / 1000);
}

/** The size of text of these classes, and whether it is bold. @returns {[number, boolean]} */
export function sizeOf(kind) {
  const one = (kind ?? "").split(" ").find((name) => name in KINDS);
  return one ? KINDS[one] : [USUAL, false];
}

/** Text that can neither hide nor turn the direction of what follows. */
export function visible(text) {
  return text.replace(/(?! )[\p{C}\p{Z}]/gu, "\ufffd");
}

/** The text, with `…` for its middle where it is wider than the limit. */
export function fit(text, size, limit, bold = false) {
  if (width(text, size, bold) <= limit) return text;
  const characters = [...text];
  let kept = Math.min(characters.length, Math.trunc((4000 * limit) / (1000 * size)) + 2);
  while (kept > 1) {
    kept -= 1;
    const end = characters.length - Math.floor(kept / 2);
    const shown = `${characters.slice(0, Math.floor((kept + 1) / 2)).join("")}…${characters.slice(end).join("")}`;
    if (width(shown, size, bold) <= limit) return shown;
  }
  return "…";
}
