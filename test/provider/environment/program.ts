/** Runs a program as Pulumi does, without an engine, and answers what it registered. */
import * as pulumi from "@pulumi/pulumi";

export interface Registered {
  type: string;
  name: string;
  id: string | undefined;
  inputs: Record<string, unknown>;
}

export async function program(run: () => pulumi.Resource[]): Promise<Registered[]> {
  const registered: Registered[] = [];
  await pulumi.runtime.setMocks(
    {
      newResource: ({ type, name, id, inputs: given }) => {
        const inputs = given as Record<string, unknown>;
        registered.push({ type, name, id, inputs });
        const state = type.endsWith("StackIdentity") ? { identity: "identity-1" } : inputs;
        return { id: id || `${name}-id`, state };
      },
      call: () => ({}),
    },
    "shop",
    "dev",
    false,
  );
  let made: pulumi.Resource[] = [];
  await pulumi.runtime.runInPulumiStack(async () => void (made = run()));
  await Promise.all(made.map((resource) => new Promise((known) => resource.urn.apply(known))));
  // The outputs of components are registered last; the next program has a monitor of its own.
  await pulumi.runtime.disconnect();
  return registered.filter(({ type }) => type !== "pulumi:pulumi:Stack");
}
