import { randomBytes } from 'node:crypto'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Progress } from './cache.ts'
import type { Ports } from './port.ts'
import { stackPython } from './python.ts'
import { nativeServer, type Server } from './server.ts'

export const AWS_REGION = 'us-east-1'

export function prepareAws(progress: Progress): Promise<string> {
  return stackPython(progress)
}

/** ministack, an emulator of AWS, held to AWS's documented rules by strict.py. It forgets everything when it is killed. */
export async function awsServer(
  dir: string,
  ports: Ports,
  python: string,
): Promise<{ server: Server; endpoint: string; adminCredentialsFile: string }> {
  const port = await ports('aws')
  const endpoint = `http://127.0.0.1:${port}`
  const data = join(dir, 'data', 'aws')
  const adminCredentialsFile = join(dir, 'admin', 'aws-credentials')
  await mkdir(data, { recursive: true })
  await writeFile(adminCredentialsFile, credentialsFile(rootKey()), { mode: 0o600 })
  const server = nativeServer({
    name: 'aws',
    dir,
    cwd: data,
    command: python,
    args: ['-B', fileURLToPath(new URL('strict.py', import.meta.url))],
    env: {
      GATEWAY_PORT: String(port),
      REKEY_AWS_ADMIN_FILE: adminCredentialsFile,
      MINISTACK_REGION: AWS_REGION,
      LOG_LEVEL: 'WARNING',
      TMPDIR: data,
      // None, unless a test or a benchmark wants the one that AWS has.
      ...(process.env.REKEY_STACK_AWS_QUOTA && { REKEY_STACK_AWS_QUOTA: process.env.REKEY_STACK_AWS_QUOTA }),
    },
    stopSignal: 'SIGTERM',
    reapSignal: 'KILL',
    ready: async () => (await fetch(`${endpoint}/_ministack/health`)).ok,
  })
  return { server, endpoint, adminCredentialsFile }
}

export type AccessKey = { id: string; secret: string }

/** In the shape of a real one, so that code that checks the shape works here too. */
export function rootKey(): AccessKey {
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
  const id = [...randomBytes(16)].map((byte) => letters[byte % letters.length]).join('')
  return { id: `AKIA${id}`, secret: randomBytes(30).toString('base64') }
}

export function credentialsFile(key: AccessKey): string {
  return `[default]\naws_access_key_id = ${key.id}\naws_secret_access_key = ${key.secret}\n`
}

export function parseCredentialsFile(text: string): AccessKey | undefined {
  const id = /^\s*aws_access_key_id\s*=\s*(\S+)/m.exec(text)?.[1]
  const secret = /^\s*aws_secret_access_key\s*=\s*(\S+)/m.exec(text)?.[1]
  return id && secret ? { id, secret } : undefined
}
