// The linter's own rules, and the arrows between the packages: provider -> sdk; local -> the sdk's wire modules.
import tseslint from "typescript-eslint";

const forbid = (...patterns) => ({ "no-restricted-imports": ["error", { patterns }] });
const deep = {
  regex: "(sdk|provider|local)/(src|dist)/",
  message: "Import a package by its name and its public entry.",
};
const outside = {
  regex: "(^|/)(examples|test|tools)(/|$)",
  message: "Nothing imports examples, test or tools.",
};
const index = {
  regex: "(^\\.{1,2}$|/index(\\.js)?$)",
  message: "Import the module itself; index.ts only re-exports.",
};

export default tseslint.config(
  { ignores: ["**/dist/**", "**/node_modules/**", ".state/**", "test/contracts/**"] },
  {
    files: ["**/*.{ts,mts}"],
    extends: [...tseslint.configs.recommendedTypeChecked],
    languageOptions: {
      parserOptions: {
        project: ["sdk/tsconfig.json", "provider/tsconfig.json", "local/tsconfig.json", "test/tsconfig.json"],
        tsconfigRootDir: import.meta.dirname,
      },
    },
    rules: {
      "@typescript-eslint/no-unused-vars": ["error", { argsIgnorePattern: "^_", varsIgnorePattern: "^_" }],
      "@typescript-eslint/require-await": "off",
      "no-empty": "error",
      eqeqeq: "error",
      "prefer-const": "error",
    },
  },
  {
    files: ["sdk/src/**/*.ts"],
    rules: forbid(deep, outside, index, {
      regex: "^(@pulumi/|pulumi-machines|@pulumi-machines/)",
      message: "The sdk knows nothing of Pulumi, of the provider or of the control plane.",
    }),
  },
  {
    files: ["sdk/src/*/wire.ts", "sdk/src/*/rules.ts", "sdk/src/*/frames.ts", "sdk/src/duration.ts"],
    rules: forbid(deep, outside, index, {
      regex: "(^node:|^undici|^ws$|/http|/sse|/client|/socket)",
      message: "Wire modules are pure: schemas, state rules, frames. No I/O, no clock, no transport.",
    }),
  },
  {
    files: ["provider/src/**/*.ts"],
    rules: forbid(deep, outside, index, {
      regex: "^(@pulumi-machines/local|undici|node:http)",
      message: "The provider reaches a control plane through the sdk only.",
    }),
  },
  {
    files: ["local/src/**/*.ts"],
    rules: forbid(deep, outside, index, {
      regex: "^(@pulumi/|pulumi-machines|undici|@pulumi-machines/sdk$)",
      message:
        "Of the sdk the control plane imports the wire modules only, so that it cannot share a client's bug.",
    }),
  },
  {
    files: ["provider/src/*/diff.ts", "provider/src/*/lifecycle.ts", "provider/src/convergence.ts"],
    rules: forbid(deep, outside, index, {
      regex: "^(@pulumi/|@pulumi-machines/local|undici|node:)",
      message: "The core is plain functions over a context: no Pulumi, no I/O of its own.",
    }),
  },
  { files: ["**/*.test.ts"], rules: { "@typescript-eslint/unbound-method": "off" } },
);
