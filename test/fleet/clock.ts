/** Milliseconds on the monotonic clock that all processes of a machine share. */
export const nowMs = () => Number(process.hrtime.bigint()) / 1e6

/** What has to be taken off a time of the wall clock, which the ledger's is too, to have it on ours. */
export function wallOffsetMs(): number {
  const began = Date.now()
  let wall = began
  // Read at a tick, because it has no finer grain.
  while (wall === began) wall = Date.now()
  return wall - nowMs()
}
