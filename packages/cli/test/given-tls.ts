import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type ServerOptions } from 'node:https'
import type { TLSSocket } from 'node:tls'
import { problem } from './given-cli.ts'

export type Asked = {
  url: string
  /** The names in the certificate that the client showed; undefined: none. */
  names: string | undefined
  authorization: string | undefined
}

/** A control that speaks TLS, asks for a certificate, and answers as it is told. */
export async function givenTls(
  options: ServerOptions,
  answer: (request: IncomingMessage, response: ServerResponse) => unknown = () => [],
) {
  const asked: Asked[] = []
  const server = createServer(
    { requestCert: true, rejectUnauthorized: false, ...options },
    (request, response) => {
      const socket = request.socket as TLSSocket
      asked.push({
        url: request.url ?? '',
        names: socket.authorized ? socket.getPeerCertificate().subjectaltname : undefined,
        authorization: request.headers.authorization,
      })
      const body =
        socket.authorized || request.headers.authorization !== undefined
          ? answer(request, response)
          : problem(response, 401, 'unauthenticated', 'no certificate that counts')
      if (body !== undefined) response.setHeader('content-type', 'application/json').end(JSON.stringify(body))
    },
  )
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `https://127.0.0.1:${port}`,
    port,
    asked,
    async close() {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
