/** The guides of the backends say what the capabilities, the settings and the programs say. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  backends,
  capabilities,
  type Backend,
  type Capabilities,
} from "../../provider/src/controlplane/capabilities";
import { readSettings } from "../../provider/src/settings";
import { compile } from "./compile";

const folder = join(__dirname, "..", "..", "docs", "backends");
const pages = Object.fromEntries(
  readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), "utf8")]),
);
const guideOf = (backend: Backend): string => pages[`${backend}.md`] ?? "";

/** How a capability is called in the guides. */
const names: Record<keyof Capabilities, readonly string[]> = {
  quarterVcpus: ["vCPUs in quarters"],
  resize: ["resize in place: `vcpu`, `memoryMiB`, a larger `storageGiB`"],
  templates: ["`template`"],
  env: ["`env`"],
  cwd: ["`cwd`"],
  metadata: ["`metadata`, and the stack's tags"],
  snapshots: ["`Snapshot`, `Environment`, `from`, `beforeReplace`"],
  snapshotMetadata: ["`metadata` of a `Snapshot`"],
  resizeOnClone: ["another size for a machine made `from` something"],
  lifetime: ["`lifetime`"],
  ephemeral: ["`ephemeral`"],
  autoResume: ["`autoResume`"],
  egress: ["`network.egress`"],
  ingress: ["`network.allowPublicTraffic`, `network.maskRequestHost`"],
  autosleepIsInactivity: ["`autosleep` besides `lifetime.inactivity`"],
  webhooks: ["`Webhook`"],
  events: ["lifecycle events: `listLifecycleEvents`, and who did what in `why`"],
};

const cells: Record<string, string> = {
  true: "yes",
  false: "no",
  none: "no",
  all_or_nothing: "all or nothing",
  lists: "lists of networks",
};

const cellOf = (backend: Backend, key: keyof Capabilities): string => {
  const { autosleepIsInactivity, lifetime } = capabilities[backend];
  if (key === "autosleepIsInactivity") return lifetime && !autosleepIsInactivity ? "yes" : "no";
  return cells[String(capabilities[backend][key])] ?? "";
};

test("the table of what each backend can do is that of the capabilities", () => {
  const [, table = ""] = /## What each can do[^]*?\n(\|[^]*?)\n\n/.exec(pages["README.md"] ?? "") ?? [];
  const rows = table.split("\n").map((row) =>
    row
      .split("|")
      .slice(1, -1)
      .map((cell) => cell.trim()),
  );
  const [head, , ...body] = rows;
  expect(head).toEqual(["what", ...backends.map((backend) => `\`${backend}\``)]);
  const said = new Map(body.map(([what = "", ...rest]) => [what, rest]));
  for (const key of Object.keys(names) as (keyof Capabilities)[]) {
    for (const name of names[key]) {
      expect([name, said.get(name)]).toEqual([name, backends.map((backend) => cellOf(backend, key))]);
    }
  }
  // The first row is what all can.
  expect(said.size).toBe(Object.values(names).flat().length + 1);
});

test.each(backends)("the guide of %s names everything that it cannot do, and nothing else", (backend) => {
  const [, section = ""] = /## What it can do\n([^]*?)\n## /.exec(guideOf(backend)) ?? [];
  const said = [...section.matchAll(/^- ((?:\*\*.+?\*\*(?:, )?)+)/gm)]
    .flatMap(([, head = ""]) => [...head.matchAll(/\*\*(.+?)\*\*/g)])
    .map(([, name = ""]) => name);
  const lacking = (Object.keys(names) as (keyof Capabilities)[])
    // "All or nothing" is less than the other one has, and is named where it is less.
    .filter((key) => ["no", "all or nothing"].includes(cellOf(backend, key)))
    .flatMap((key) => names[key]);
  expect(said.flatMap((name) => parts(name)).sort()).toEqual(lacking.flatMap((name) => parts(name)).sort());
});

/** One bullet may name several arguments. */
const parts = (name: string): string[] => name.split("`, `").map((part) => part.replaceAll("`", ""));

test("the settings and variables that the guides name are read", () => {
  const text = Object.values(pages).join("\n");
  const named = new Set(
    [...text.matchAll(/`((?:MACHINES|DEDALUS|NULLSPACE)_[A-Z_]+)`/g)].map(([, name = ""]) => name),
  );
  expect(named.size).toBeGreaterThan(8);
  // Read elsewhere: by the embedded control plane, and to find it.
  for (const other of ["MACHINES_LOCAL_STATE", "MACHINES_LOCAL_API_KEY"])
    expect(named.delete(other)).toBe(true);
  const read = new Set<string>();
  for (const backend of backends) {
    const env = new Proxy<NodeJS.ProcessEnv>(
      { MACHINES_BACKEND: backend },
      {
        get: (target, name: string) => {
          read.add(name);
          return name === "DEDALUS_X_API_KEY" ? "key" : target[name];
        },
      },
    );
    readSettings(() => undefined, env);
  }
  expect([...named].sort()).toEqual([...read].sort());
});

test("every program compiles against the packages", () => {
  const programs = Object.values(pages).flatMap((page) =>
    [...page.matchAll(/^```ts\n([^]*?)^```/gm)].map(([, text = ""]) => text),
  );
  expect(programs.length).toBeGreaterThan(1);
  for (const text of programs) expect(compile(text).messages).toEqual([]);
});

test("every link leads to a file that is there", () => {
  for (const [name, page] of Object.entries(pages)) {
    const targets = [...page.matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map(([, target = ""]) => target);
    for (const target of targets)
      expect([name, target, existsSync(join(folder, target))]).toEqual([name, target, true]);
  }
});
