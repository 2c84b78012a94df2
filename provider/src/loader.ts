/**
 * The text that Pulumi stores in every state as the "provider" of a resource, and runs at each refresh and delete. It
 * loads the installed package from the project folder. A contract for ever: never change a character of these, never
 * rename `pulumi-machines/dynamic` or its exports. See docs/decisions/0003-dynamic-provider-loader.md.
 */
export const machineLoader = 'exports.handler = () => require("pulumi-machines/dynamic").machine;';
export const identityLoader = 'exports.handler = () => require("pulumi-machines/dynamic").identity;';

export const machineType = "pulumi-nodejs:dynamic/machines:Machine";
export const identityType = "pulumi-nodejs:dynamic/machines:StackIdentity";
