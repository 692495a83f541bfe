// Compiles the styles and copies the scripts into ../static, which is not committed.
import { cpSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import * as sass from "sass";

const here = dirname(fileURLToPath(import.meta.url));
const out = join(here, "..", "static");
const moj = join(here, "node_modules", "@ministryofjustice", "frontend", "moj");
const govuk = join(here, "node_modules", "govuk-frontend", "dist", "govuk");

rmSync(out, { recursive: true, force: true });
mkdirSync(join(out, "images"), { recursive: true });

const { css } = sass.compile(join(here, "console.scss"), {
  loadPaths: [here],
  style: "compressed",
  quietDeps: true,
  silenceDeprecations: ["import"],
  // What the parts from npm say of one another is nothing that we could mend.
  logger: {
    warn(message, { stack, span }) {
      if (!`${stack ?? ""}${span?.url ?? ""}`.includes("node_modules")) console.warn(message);
    },
  },
});
if (/GDS Transport|@font-face|govuk-crest|logotype/.test(css)) {
  throw new Error("the style has a typeface or crest in it that is not ours to use");
}
writeFileSync(join(out, "console.css"), css);

cpSync(join(govuk, "govuk-frontend.min.js"), join(out, "govuk-frontend.js"));
cpSync(join(moj, "moj-frontend.min.js"), join(out, "moj-frontend.js"));
for (const name of ["early.js", "console.js", "ending.js", "lamp.svg"]) {
  cpSync(join(here, name), join(out, name));
}
for (const name of readdirSync(join(moj, "assets", "images"))) {
  if (name.startsWith("icon-") && name.endsWith(".svg")) {
    cpSync(join(moj, "assets", "images", name), join(out, "images", name));
  }
}
