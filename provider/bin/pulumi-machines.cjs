#!/usr/bin/env node
"use strict";
// Plain and old JavaScript: it has to say its piece on every Node.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  console.error(
    "pulumi-machines needs Node.js 22.13 or newer; this is " +
      process.versions.node +
      " (" +
      process.execPath +
      "). Install a newer one from https://nodejs.org, or with your version manager.",
  );
  process.exit(1);
}

require("../dist/cli.js").main(process.argv);
