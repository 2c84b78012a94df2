/** What differs between one snapshot and the next, made up by chance, and what is of one moment while it changes. */
import { places, SnapshotPlane } from "./snapshot-places";

/** The same numbers in every run. */
function numbers(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

/** Changes in a small tree, so that they often meet: most of them fail, which is part of it. */
function changes(count: number, next: (below: number) => number): string {
  const name = (): string => ["a", "b", "c", "d"][next(4)] ?? "";
  const path = (): string => Array.from({ length: 1 + next(3) }, name).join("/");
  const kinds = [
    () => `echo ${String(next(1000))} > ${path()}`,
    () => `echo ${String(next(1000))} >> ${path()}`,
    () => `mkdir -p ${path()}`,
    () => `rm -rf ${path()}`,
    () => `mv -T ${path()} ${path()}`,
    () => `mv -T ${path()} ${path()}`,
    () => `ln ${path()} ${path()}`,
    () => `ln -s ${path()} ${path()}`,
    () => `chmod ${["700", "755", "711", "4755"][next(4)] ?? ""} ${path()}`,
    () => `touch -d @${String(1_000_000_000 + next(1000))} ${path()}`,
    // Another folder in the place of one: nothing of the old one may be seen.
    () => {
      const folder = path();
      return `rm -rf ${folder} && mkdir -p ${folder} && echo new > ${folder}/${name()}`;
    },
  ];
  return Array.from({ length: count }, () => `{ ${kinds[next(kinds.length)]?.() ?? ""}; } 2>/dev/null`).join(
    "\n",
  );
}

/** Everything that can be seen of the tree; names of one file by the first of them. */
async function lookOf(plane: SnapshotPlane, id: string): Promise<string[]> {
  const facts = "%i %p %y %m %n %T@ %l";
  const found = await plane.sh(
    id,
    `cd tree && find . -type d -printf '${facts}\\n' -o -printf '${facts} %s\\n' | sort -k2`,
  );
  const firstOf = new Map<string, string>();
  const names = found
    .trim()
    .split("\n")
    .map((line) => {
      const [inode = "", path = "", kind, mode, links, ...rest] = line.split(" ");
      if (kind === "d") return [path, kind, mode, ...rest].join(" ");
      if (!firstOf.has(inode)) firstOf.set(inode, path);
      return [path, kind, mode, links, firstOf.get(inode), ...rest].join(" ");
    });
  const contents = await plane.sh(id, "cd tree && find . -type f -exec cksum {} + | sort -k3");
  return [...names, ...contents.split("\n")];
}

describe.each(places)("changes between snapshots of the $name driver of $user", (place) => {
  const plane = new SnapshotPlane(place);

  it.each([1, 2])("each snapshot holds the disk of its moment, by chance %d", async (seed) => {
    const next = numbers(seed);
    const looks: string[][] = [];
    await plane.call("start", "m");
    await plane.sh("m", "mkdir tree");
    for (let round = 0; round < 6; round++) {
      await plane.sh("m", `cd tree || exit\n${changes(25, next)}\n:`);
      looks.push(await lookOf(plane, "m"));
      const isStopped = round % 3 === 2;
      if (isStopped) await plane.call("stop", "m");
      await plane.call("snapshot", "m", `s${String(round)}`);
      if (isStopped) await plane.call("start", "m");
      expect(await lookOf(plane, "m")).toEqual(looks[round]);
    }
    expect(new Set(looks.map((look) => look.join("\n"))).size).toBe(looks.length);
    await plane.call("destroy", "m");
    // Newest first, and each is gone before the next is used.
    for (let round = looks.length - 1; round >= 0; round--) {
      await plane.call("start", `f${String(round)}`, { fromSnapshotId: `s${String(round)}` });
      await plane.call("forgetSnapshot", `s${String(round)}`);
      expect(await lookOf(plane, `f${String(round)}`)).toEqual(looks[round]);
    }
  });

  it("one of a machine that renames and replaces is of one moment", async () => {
    const fill =
      "mkdir -p many && cd many && seq 1 1000 | split -l 2 -a 4 - f && head -c 5000000 /dev/zero > large";
    await plane.call("start", "m");
    await plane.sh(
      "m",
      "mkdir one two d && echo x > one/x && echo in > d/in && echo l > left && ln left right && echo 0 > whole",
    );
    const turn =
      "mv one/x two/x; mv d e; echo $i > new; mv new whole; ln -f right left; mv two/x one/x; mv e d";
    await plane.call("exec", "m", "writer", ["sh", "-c", `cd ~; i=0; while :; do i=$((i+1)); ${turn}; done`]);
    await plane.sh("m", fill);
    for (const id of ["s1", "s2"]) {
      await plane.call("snapshot", "m", id);
      await plane.call("start", id, { fromSnapshotId: id });
      expect(
        await plane.sh(id, "cat [ot][nw][eo]/x [de]/in && ls -d one/x two/x d e 2>/dev/null | wc -l"),
      ).toBe("x\nin\n2\n");
      // A hard link is replaced by one more name for a moment.
      expect(await plane.sh(id, "cat left right && stat -c %i left right | uniq | wc -l")).toBe("l\nl\n1\n");
      expect(await plane.sh(id, "cat whole")).toMatch(/^\d+\n$/);
      expect(await plane.sh(id, "ls many | wc -l && cat many/f* | wc -l && wc -c < many/large")).toBe(
        "501\n1000\n5000000\n",
      );
    }
    await plane.call("kill", "writer");
  });

  /** perl is on every host that tests run on; tools for attributes are not. */
  const attributes = (work: string): string =>
    `perl -e 'my %n = ("x86_64" => [188, 191], "aarch64" => [5, 8]); my ($set, $get) = @{$n{(split(" ", \`uname -m\`))[0]}}; my $name = "user.colour"; ${work}'`;
  const odd = [
    "mkdir -p a/b closed && echo plain > a/plain && ln a/plain a/b/second && ln -s ../plain a/b/link && ln -s /etc/none dangling",
    `printf y > "$(printf 'a/new\\nline\\ttab|bar')" && printf z > "$(printf 'a/\\377\\376')" && printf d > -dash`,
    "mkfifo fifo && truncate -s 50M sparse && printf tail >> sparse && touch -d '2001-02-03 04:05:06.789' a/old",
    "chmod 6711 a/old && mkdir -m 1777 sticky && chmod 500 closed",
    attributes(
      'my %c = ("a/plain", "red", "a/b", "blue"); for my $f (keys %c) { my $v = $c{$f}; syscall($set, $f, $name, $v, length $v, 0) == 0 or die $! }',
    ),
  ].join(" && ");
  const oddLook = [
    "find . -name '.?*' -prune -o \\( -type d -printf '%p %y %m %T@\\n' -o -printf '%p %y %m %T@ %n %s %l\\n' \\) | sort",
    "cat a/plain a/b/second a/new* a/?? ./-dash && cksum < sparse && stat -c %i a/plain a/b/second | uniq | wc -l",
    attributes(
      'my @f = ("a/plain", "a/b/second", "a/b"); for my $f (@f) { my $v = " " x 9; print substr($v, 0, syscall($get, $f, $name, $v, 9)), "\\n" }',
    ),
  ].join(" && ");

  it.each(["running", "stopped"])(
    "names, links, times and attributes of a %s machine stay what they are",
    async (state) => {
      await plane.call("start", "m");
      await plane.sh("m", odd);
      const before = await plane.sh("m", oddLook);
      expect(before).toMatch(/\n1\nred\nred\nblue\n$/);
      if (state === "stopped") await plane.call("stop", "m");
      await plane.call("snapshot", "m", "s");
      await plane.call("start", "f", { fromSnapshotId: "s" });
      const withoutHome = (look: string): string => look.replace(/^\. d .*\n/, "");
      expect(withoutHome(await plane.sh("f", oddLook))).toBe(withoutHome(before));
      expect(Number(await plane.sh("f", "du -k sparse | cut -f1"))).toBeLessThan(1000);
    },
  );
});
