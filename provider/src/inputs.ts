/** The types of arguments: every member, at any depth, may be an output of another resource. */
import type * as pulumi from "@pulumi/pulumi";

/** A type of a checked schema as a program may give it. */
export type DeepInput<T> = unknown extends T
  ? unknown
  : T extends readonly (infer Item)[]
    ? pulumi.Input<DeepInput<Item>[]>
    : T extends object
      ? pulumi.Input<{ [K in keyof T]: DeepInput<T[K]> }>
      : pulumi.Input<T>;

/** The arguments of a resource: optional members may be left out, or be undefined. */
export type ArgsOf<Given> = {
  [K in keyof Given]: undefined extends Given[K]
    ? DeepInput<NonNullable<Given[K]>> | undefined
    : DeepInput<Given[K]>;
};
