import swagger from '@fastify/swagger'
import { type Fingerprints, RekeyError, type Secret } from '@rekey/contracts'
import type { Ledger } from '@rekey/ledger'
import type { Logger } from '@rekey/runtime'
import Fastify, { type FastifyBaseLogger, type FastifyInstance, LogController } from 'fastify'
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import { journalBell } from './bell.ts'
import { answerWithProblems } from './problem.ts'
import { configurationRoutes } from './routes/configuration.ts'
import { credentialRoutes } from './routes/credentials.ts'
import { healthRoutes } from './routes/health.ts'
import { nodeRoutes } from './routes/nodes.ts'
import { pauseRoutes } from './routes/pause.ts'
import { recoveryRoutes } from './routes/recovery.ts'
import { rotationRoutes } from './routes/rotations.ts'
import type { Api, Shared } from './routes/route.ts'
import { ruleRoutes } from './routes/rules.ts'
import { verdictRoutes } from './routes/verdicts.ts'
import { versionRoutes } from './routes/version.ts'
import { watchRoutes } from './routes/watch.ts'
import { whoRoutes } from './routes/who.ts'
import { workloadRoutes } from './routes/workloads.ts'
import { bearerOnly } from './token.ts'
import { VERSION } from './version.ts'

/** A configuration of some thousand documents fits. */
const BODY_BYTES_MAX = 4 * 1024 * 1024
/** An event's id may have 512 bytes, each of which takes three characters in a path. */
const PARAMETER_LENGTH_MAX = 3 * 512

const TOKEN_LENGTH_MIN = 16

export async function buildControl(options: {
  ledger: Ledger
  token: Secret
  logger: Logger
  /** For `who`; without it that is refused. */
  fingerprints?: Fingerprints
  /** How often a silent watch says that it lives. */
  heartbeatMs?: number
}): Promise<FastifyInstance> {
  const { ledger, token, logger } = options
  if (token.reveal().length < TOKEN_LENGTH_MIN)
    throw new RekeyError(
      'invalid_configuration',
      `the token in CONTROL_TOKEN_FILE is shorter than ${TOKEN_LENGTH_MIN} characters`,
    )
  const bell = journalBell(ledger)
  const app = Fastify({
    loggerInstance: logger as FastifyBaseLogger,
    // Orders are logged with their actor below; the rest would be noise.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    requestTimeout: 30_000,
    forceCloseConnections: true,
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.addHook('preClose', async () => bell.close())
  app.addHook('onResponse', async (request, reply) => {
    if (request.method === 'GET') return
    const { method, url } = request
    const actor = request.headers['x-rekey-actor']
    logger.info({ method, url, actor, status: reply.statusCode, ms: Math.round(reply.elapsedTime) }, 'order')
  })
  answerWithProblems(app, logger)

  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Rekey control',
        version: VERSION,
        description: 'Configuration, orders and views of Rekey. The command line `rekey` speaks this API.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } } },
    },
    transform: jsonSchemaTransform,
  })
  const shared: Shared = {
    ledger,
    bell,
    heartbeatMs: options.heartbeatMs ?? 15_000,
    fingerprints: options.fingerprints,
  }
  await app.register(async (raw) => healthRoutes(raw.withTypeProvider<ZodTypeProvider>(), shared))
  await app.register(
    async (raw) => {
      raw.addHook('onRequest', bearerOnly(token))
      const api: Api = raw.withTypeProvider<ZodTypeProvider>()
      for (const add of V1) add(api, shared)
    },
    { prefix: '/v1' },
  )
  return app
}

const V1 = [
  configurationRoutes,
  credentialRoutes,
  rotationRoutes,
  watchRoutes,
  verdictRoutes,
  ruleRoutes,
  workloadRoutes,
  whoRoutes,
  nodeRoutes,
  pauseRoutes,
  recoveryRoutes,
  versionRoutes,
]
