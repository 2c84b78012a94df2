import * as pulumi from "@pulumi/pulumi";
import { webhookLoader } from "../../../provider/src/loader";
import { Webhook } from "../../../provider/src/webhook/resource";
import { program } from "../environment/program";

const args = { url: "https://example.com/hook", operations: ["create" as const], secret: "whsec-1" };

test("registers what the program said, with its URN and the stack's identity", async () => {
  const all = await program(() => [new Webhook("audit", args)]);
  expect(all.at(-1)?.inputs).toMatchObject({
    url: args.url,
    operations: args.operations,
    secret: expect.objectContaining({ value: "whsec-1" }) as object,
    __provider: webhookLoader,
    __urn: "urn:pulumi:dev::shop::pulumi-nodejs:dynamic/machines:Webhook::audit",
    __stackIdentity: expect.stringMatching(/^identity/) as string,
  });
});

test("the secret is one whatever the program made of it, and also as an output", async () => {
  const made: Record<string, Webhook> = {};
  await program(() => [
    (made.plain = new Webhook("plain", args)),
    (made.output = new Webhook("output", { ...args, secret: pulumi.output("whsec-1") })),
    (made.secret = new Webhook("secret", { ...args, secret: pulumi.secret("whsec-1") })),
  ]);
  for (const webhook of Object.values(made)) expect(await pulumi.isSecret(webhook.secret)).toBe(true);
  expect(Object.keys(made)).toHaveLength(3);
});

test("what is only read needs no arguments and no identity", async () => {
  const all = await program(() => [Webhook.get("known", "wh-7")]);
  const known = all.find(({ name }) => name === "known");
  expect(known).toMatchObject({ id: "wh-7" });
  expect(known?.inputs).not.toHaveProperty("__stackIdentity");
  expect(known?.inputs).not.toHaveProperty("secret");
});
