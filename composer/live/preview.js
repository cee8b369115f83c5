// The page around the last good picture: what is wrong with the text now, what changed, and the picture itself.
"use strict";

const base = location.pathname.replace(/\/$/, "");
const at = (name) => document.getElementById(name);
const frame = at("picture");
let shown = -1;
let wanted = -1;
let loading = false;

/** Loads the newest picture, with the state of the one before: what is open and selected stays so. */
function draw() {
  if (loading || wanted === shown) return;
  loading = true;
  shown = wanted;
  let state = "";
  try {
    state = frame.contentWindow.location.hash;
  } catch {
    // The first picture has none.
  }
  frame.contentWindow.location.replace(`${base}/page?${shown}${state}`);
}

frame.addEventListener("load", () => {
  if (shown < 0) return;
  loading = false;
  frame.contentDocument.addEventListener("click", (event) => {
    const path = event.target.closest("[data-path]")?.dataset.path;
    if (path !== undefined) goTo({ path });
  });
  draw();
});

/** Asks for the line of a node or a problem; an editor that shows this preview goes there. */
async function goTo(what) {
  const asked = { method: "POST", body: JSON.stringify(what), headers: { "Content-Type": "application/json" } };
  try {
    const answer = await fetch(`${base}/goto`, asked);
    if (answer.ok) at("status").textContent = (await answer.json()).text;
  } catch {
    at("status").textContent = LOST;
  }
}

function tell(now) {
  document.title = now.name;
  at("name").textContent = now.name;
  at("status").textContent = now.status;
  at("problems").replaceChildren(
    ...now.problems.map((text, index) => {
      const item = document.createElement("li");
      const button = document.createElement("button");
      button.textContent = text;
      button.addEventListener("click", () => goTo({ problem: index }));
      item.append(button);
      return item;
    }),
  );
  at("changed").hidden = !now.changes;
  at("changes").textContent = now.changes;
  wanted = now.picture;
  draw();
}

const LOST = "the connection is lost: composer has ended, or is about to be back";
const events = new EventSource(`${base}/events`);
events.addEventListener("message", (event) => tell(JSON.parse(event.data)));
events.addEventListener("error", () => {
  at("status").textContent = LOST;
});
