import { createLogger, onShutdown } from '@rekey/runtime'
import { startAuthorizer } from './authorizer.ts'
import { readAuthorizerConfig } from './config.ts'

/** Runs until it is told to stop. */
export async function runAuthorizer(configFile: string): Promise<void> {
  const log = createLogger({ service: 'agent' })
  const authorizer = await startAuthorizer(await readAuthorizerConfig(configFile), log)
  onShutdown(log, authorizer.stop)
}
