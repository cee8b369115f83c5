// A page that was packed whole, for the frame in a notebook's cell: it takes the place of this document.

import { unpacked } from "./inflate.js";

const page = unpacked(document.getElementById("packed").textContent);
document.open();
document.write(page);
document.close();
