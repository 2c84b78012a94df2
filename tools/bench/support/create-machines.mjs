export const size = { vcpu: 0.25, memoryMiB: 256, storageGiB: 1, autosleep: "never" };

/** Makes machines through a client, so many at a time; resolves with their ids. */
export async function createMachines(client, howMany, atOnce) {
  const ids = [];
  let started = 0;
  const worker = async () => {
    while (started < howMany) {
      started++;
      ids.push((await client.machines.create(size)).machineId);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, worker));
  return ids;
}
