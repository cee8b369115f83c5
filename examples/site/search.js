// Finds pages by words in their titles and texts. All of it is in found.js, so that it works on a disk without a server.
const input = document.getElementById("query");
const list = document.getElementById("found");
const MOST = 12;

function find(query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return [];
  const ranked = [];
  for (const [path, title, text] of PAGES) {
    const [head, body] = [title.toLowerCase(), text.toLowerCase()];
    if (!words.every((word) => head.includes(word) || body.includes(word))) continue;
    const rank = head === words.join(" ") ? 0 : words.every((word) => head.includes(word)) ? 1 : 2;
    ranked.push({ path, title, text, rank });
  }
  return ranked.sort((one, other) => one.rank - other.rank || one.title.length - other.title.length).slice(0, MOST);
}

input.addEventListener("input", () => {
  const found = find(input.value);
  list.replaceChildren(
    ...found.map(({ path, title, text }) => {
      const link = document.createElement("a");
      link.href = `${input.dataset.root}/${path}`;
      const name = document.createElement("b");
      name.textContent = title;
      link.append(name, ` ${text.slice(0, 80)}`);
      const item = document.createElement("li");
      item.append(link);
      return item;
    }),
  );
  if (input.value.trim() && !found.length) {
    const none = document.createElement("li");
    none.textContent = "Nothing is called so.";
    list.append(none);
  }
  list.hidden = !input.value.trim();
});
input.addEventListener("keydown", (event) => {
  if (event.key === "Escape") {
    input.value = "";
    list.hidden = true;
  }
  if (event.key === "Enter") list.querySelector("a")?.click();
});
document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.target === input) return;
  event.preventDefault();
  input.focus();
});

const here = document.querySelector("nav [aria-current]");
if (here) here.closest("nav").scrollTop = here.offsetTop - here.closest("nav").clientHeight / 2;
