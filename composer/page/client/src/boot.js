// A page that was packed whole, for the frame in a notebook's cell: it takes the place of this document.

import { unpacked } from "./unpack.js";

unpacked(document.getElementById("packed").textContent).then((page) => {
  document.open();
  document.write(page);
  document.close();
});
