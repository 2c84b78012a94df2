/** A control plane that is killed with -9 while it takes a snapshot. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { waitUntil } from "../../../local/src/engine/drivers/wait-until";
import { places, SnapshotPlane } from "./snapshot-places";

const writer = "cd ~; i=0; while :; do i=$((i+1)); echo $i > new; mv new count; done";
const files = 500;

describe.each(places)(
  "a control plane of $user that is killed while the $name driver keeps a disk",
  (place) => {
    const plane = new SnapshotPlane(place);

    const isHeld = (): boolean => existsSync(`${plane.stateDir}/machines/m/held`);
    /** How far the snapshot has come, and whether the next control plane knows of it. */
    const points: [string, boolean, (id: string) => () => boolean][] = [
      ["at once", true, () => () => true],
      [
        "when it copies",
        false,
        (id) => () =>
          existsSync(`${plane.stateDir}/snapshots/${id}`) ||
          readdirIfThere(`${plane.stateDir}/layers`).length > 0,
      ],
      ["when the machine is held", false, () => isHeld],
      [
        "when the machine was held",
        true,
        () => {
          let wasHeld = false;
          return () => {
            const now = isHeld();
            const isOver = wasHeld && !now;
            wasHeld ||= now;
            return isOver;
          };
        },
      ],
    ];

    it.each(points)(
      "leaves a whole snapshot or none, and a machine that goes on: %s",
      async (_, isKnown, comes) => {
        await plane.call("start", "m");
        await plane.sh(
          "m",
          `mkdir many && seq 1 ${String(files)} | split -l 1 -a 4 - many/f && echo 0 > count`,
        );
        await plane.call("exec", "m", "writer", ["sh", "-c", writer]);
        const id = "s";
        const hasCome = comes(id);
        plane.process.send("snapshot", "m", id);
        expect(await waitUntil(hasCome, { withinMs: 20_000, everyMs: 0 })).toBe(true);
        await plane.process.kill9();
        // Nobody needs to come and let it go.
        const count = (): string => readFileSync(`${plane.homeOf("m")}/count`, "utf8");
        const last = count();
        expect(await waitUntil(() => count() !== last, { withinMs: 10_000 })).toBe(true);

        await plane.open();
        await plane.call("sweep", ["m"], isKnown ? [id] : []);
        const made = await plane.reasonOf(plane.call("start", "f", { fromSnapshotId: id }));
        if (made === "it succeeded") {
          expect(isKnown).toBe(true);
          expect(await plane.sh("f", "ls many | wc -l && cat many/* | wc -l")).toBe(
            `${String(files)}\n${String(files)}\n`,
          );
        } else expect(made).toBe("no_snapshot");
        await plane.call("destroy", "f");
        await plane.call("forgetSnapshot", id);
        expect(readdirIfThere(`${plane.stateDir}/snapshots`)).toEqual([]);

        await plane.call("snapshot", "m", "again");
        await plane.call("start", "g", { fromSnapshotId: "again" });
        expect(await plane.sh("g", "ls many | wc -l")).toBe(`${String(files)}\n`);
        await plane.call("destroy", "g");
        await plane.call("forgetSnapshot", "again");
      },
    );
  },
);

function readdirIfThere(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return []; // nothing was made there yet
  }
}
