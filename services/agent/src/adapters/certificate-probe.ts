import { z } from 'zod'

/** Answers 2xx to who presents a certificate that it takes, and to nobody who presents none. */
export const mtlsServer = z.strictObject({
  url: z.url({ protocol: /^https$/ }),
  caFile: z.string().min(1).optional(),
})

/** Where the software shows its certificate. */
export const shownServer = z.strictObject({
  address: z
    .string()
    .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s/]+):\d{1,5}$/, 'host and port, such as 127.0.0.1:8443'),
  serverName: z.string().min(1),
  caFile: z.string().min(1).optional(),
})

type Servers = {
  mtls?: z.infer<typeof mtlsServer> | undefined
  shown?: z.infer<typeof shownServer> | undefined
}

export const resolvedServers = ({ mtls, shown }: Servers, at: (path: string) => string) => ({
  ...(mtls && { mtls: withCaFile(mtls, at) }),
  ...(shown && { shown: withCaFile(shown, at) }),
})

const withCaFile = <S extends { caFile?: string | undefined }>(server: S, at: (path: string) => string): S =>
  server.caFile === undefined ? server : { ...server, caFile: at(server.caFile) }

/** A `probe` has the settings of its kind, and no others. */
export function checkProbe(
  probe: string | undefined,
  settings: readonly (readonly [field: string, kind: string, found: unknown])[],
  context: z.RefinementCtx,
): void {
  for (const [field, kind, found] of settings) {
    if ((probe === kind) === (found !== undefined)) continue
    const message = `belongs to \`probe: ${kind}\`, and to nothing else`
    context.addIssue({ code: 'custom', path: [field], message })
  }
}
