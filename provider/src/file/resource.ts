/** The resource class that a program uses. It looks at the content and registers; the provider writes it (lifecycle.ts). */
import * as pulumi from "@pulumi/pulumi";
import type { z } from "zod";
import type { ArgsOf } from "../inputs";
import { fileLoader, fileType } from "../loader";
import { propertiesOf } from "../registration";
import type { fileArgs } from "./args";
import { resolveContent, type Content } from "./content";
import { outputDescriptions } from "./state";

/** The arguments of a File; `machineId`, `path` and `content` are required. */
export type FileArgs = ArgsOf<Omit<z.input<typeof fileArgs>, "content">> & {
  /** A text, an asset, or an archive, which becomes a folder; compared by its hash. */
  content: pulumi.Input<Content>;
};

/**
 * A file, or a folder of files, in a machine. It is written again when its content changes, here or in the machine.
 *
 * @example
 * new File("motd", { machineId: machine.id, path: "/etc/motd", content: "Hello\n" });
 * new File("app", { machineId: machine.id, path: "/srv/app", content: new pulumi.asset.FileArchive("app") });
 */
export class File extends pulumi.CustomResource {
  declare readonly machineId: pulumi.Output<string>;
  declare readonly path: pulumi.Output<string>;
  declare readonly mode: pulumi.Output<string | undefined>;
  /** SHA-256 in lower-case hex; as secret as the content. */
  declare readonly hash: pulumi.Output<string>;
  /** Bytes. */
  declare readonly size: pulumi.Output<number>;

  constructor(name: string, args: FileArgs, opts: pulumi.CustomResourceOptions = {}) {
    const { content, ...rest } = args;
    // As secret as the content is, both of them.
    const resolved = pulumi.output(content).apply((known) => resolveContent(known));
    const given = { ...rest, content: resolved.source, hash: resolved.hash };
    super(
      fileType,
      name,
      propertiesOf(
        { type: fileType, loader: fileLoader, outputs: Object.keys(outputDescriptions) },
        name,
        given,
        opts,
      ),
      opts,
    );
  }
}
