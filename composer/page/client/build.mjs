// Builds client.js, client.css and boot.js beside this folder: `npm ci && npm run build`.

import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = dirname(fileURLToPath(import.meta.url));
const target = process.argv[2] ?? dirname(here);

/** The files that the bundle is made from, in the order of their names. */
function sources() {
  const inside = readdirSync(join(here, "src"), { recursive: true, withFileTypes: true })
    .filter((one) => one.isFile())
    .map((one) =>
      relative(here, join(one.parentPath ?? one.path, one.name))
        .split(sep)
        .join("/"),
    );
  return ["package.json", "package-lock.json", ...inside].sort();
}

function hashOfSources() {
  const hash = createHash("sha256");
  for (const name of sources())
    hash
      .update(`${name}\0`)
      .update(readFileSync(join(here, name)))
      .update("\0");
  return hash.digest("hex");
}

const sha256 = (text) => createHash("sha256").update(text).digest("hex");

async function bundle(entry, options) {
  const done = await build({
    entryPoints: [join(here, "src", entry)],
    bundle: true,
    minify: true,
    charset: "utf8",
    legalComments: "none",
    write: false,
    ...options,
  });
  return done.outputFiles[0].text;
}

function write(name, body) {
  // What a page may not hold: it could end the element that it stands in.
  if (body.includes("</") || body.includes("<!--")) throw new Error(`${name} holds \`</\` or \`<!--\``);
  writeFileSync(join(target, name), `/* sources ${hashOfSources()} body ${sha256(body)} */\n${body}`);
  process.stdout.write(`${name}: ${body.length} bytes\n`);
}

write("client.js", await bundle("main.js", { format: "iife", target: "es2020" }));
write("boot.js", await bundle("boot.js", { format: "iife", target: "es2020" }));
write("client.css", await bundle("style.css", { target: ["chrome111", "firefox113", "safari16.2"] }));
