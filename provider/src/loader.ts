/**
 * The text that Pulumi stores in every state as the "provider" of a resource, and runs at each refresh and delete. It
 * loads the installed package from the project folder. A contract for ever: never change a character of these, never
 * rename `pulumi-machines/dynamic` or its exports. See docs/decisions/0003-dynamic-provider-loader.md.
 */
export const machineLoader = 'exports.handler = () => require("pulumi-machines/dynamic").machine;';
export const identityLoader = 'exports.handler = () => require("pulumi-machines/dynamic").identity;';
export const snapshotLoader = 'exports.handler = () => require("pulumi-machines/dynamic").snapshot;';
export const commandLoader = 'exports.handler = () => require("pulumi-machines/dynamic").command;';
export const fileLoader = 'exports.handler = () => require("pulumi-machines/dynamic").file;';
export const webhookLoader = 'exports.handler = () => require("pulumi-machines/dynamic").webhook;';

export const machineType = "pulumi-nodejs:dynamic/machines:Machine";
export const snapshotType = "pulumi-nodejs:dynamic/machines:Snapshot";
export const commandType = "pulumi-nodejs:dynamic/machines:Command";
export const fileType = "pulumi-nodejs:dynamic/machines:File";
export const webhookType = "pulumi-nodejs:dynamic/machines:Webhook";
/** The component; it has no provider. */
export const environmentType = "machines:index:Environment";
export const identityType = "pulumi-nodejs:dynamic/machines:StackIdentity";
