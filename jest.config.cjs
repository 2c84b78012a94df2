/** Tests run on the sources; end-to-end tests also use the built packages, as a user would. */
const { availableParallelism } = require("node:os");

module.exports = {
  rootDir: __dirname,
  roots: ["<rootDir>/test"],
  testMatch: ["**/*.test.ts"],
  testEnvironment: "node",
  transform: {
    "^.+\\.ts$": [
      "@swc/jest",
      { jsc: { parser: { syntax: "typescript" }, target: "es2023" }, module: { type: "commonjs" } },
    ],
  },
  moduleNameMapper: {
    "^@pulumi-machines/sdk$": "<rootDir>/sdk/src/index.ts",
    "^@pulumi-machines/sdk/(duration|dedalus/wire|dedalus/rules|nullspace/wire|nullspace/frames|nullspace/rules)$":
      "<rootDir>/sdk/src/$1.ts",
    "^@pulumi-machines/local$": "<rootDir>/local/src/index.ts",
    "^pulumi-machines$": "<rootDir>/provider/src/index.ts",
    "^pulumi-machines/dynamic$": "<rootDir>/provider/src/dynamic.ts",
  },
  // Jest's own default leaves one core idle, and most of these tests wait. More than a few would only be in each other's way.
  maxWorkers: Math.min(availableParallelism(), 4),
  testTimeout: 30_000,
};
