import { createStore } from "./store.js";

const store = createStore(JSON.parse(document.getElementById("data").textContent));
globalThis.composer = store;
