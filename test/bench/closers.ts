export type Closers = (() => Promise<unknown>)[]

/** What `build` makes, with a `close` that ends it in the reverse order; where it fails half-way, what there is ends at once. */
export async function closable<T extends object>(
  build: (closers: Closers) => Promise<T>,
): Promise<T & { close(): Promise<void> }> {
  const closers: Closers = []
  const close = async () => {
    for (const end of closers.splice(0).reverse()) await end()
  }
  try {
    return { ...(await build(closers)), close }
  } catch (error) {
    await close()
    throw error
  }
}
