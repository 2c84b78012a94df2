#!/usr/bin/env node
"use strict";
// Plain and old JavaScript: it has to say its piece on every Node.
const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 22 || (major === 22 && minor < 13)) {
  console.error(
    "machines-local needs Node.js 22.13 or newer; this is " +
      process.versions.node +
      " (" +
      process.execPath +
      "). Install a newer one from https://nodejs.org, or with your version manager.",
  );
  process.exit(1);
}

// The one warning that says nothing to a user: that Node's own SQLite may still change between versions of Node.
const emitWarning = process.emitWarning;
process.emitWarning = function (warning, ...rest) {
  const text = typeof warning === "string" ? warning : warning.message;
  if (/^SQLite is an experimental feature/.test(text)) return undefined;
  return emitWarning.call(process, warning, ...rest);
};

require("../dist/cli.js").main(process.argv);
