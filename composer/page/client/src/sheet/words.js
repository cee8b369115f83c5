// Words of a sheet that are not of its drawing.

import { svg } from "../dom.js";
import { visible } from "../text.js";

/** Words as wide as the font makes them: characters of the page's own words were not measured. */
export const plain = (words, x, y, kind = null) => svg("text", { x, y, class: kind }, visible(words));
