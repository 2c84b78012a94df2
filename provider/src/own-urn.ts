/** A resource's own URN, for its inputs. */
import * as pulumi from "@pulumi/pulumi";

/**
 * A promise and no output: an output that comes from the parent's URN makes the resource depend on the parent, and that is,
 * where the parent is a component, on all its other children, which may be waiting for this one.
 */
export function ownUrn(name: string, type: string, parent: pulumi.Resource | undefined): Promise<string> {
  return new Promise((resolve) => {
    pulumi.createUrn(name, type, parent).apply(resolve);
  });
}
