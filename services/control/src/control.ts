import swagger from '@fastify/swagger'
import { type Fingerprints, RekeyError, type Secret } from '@rekey/contracts'
import type { BreakGlassUse, Ledger } from '@rekey/ledger'
import type { Policies } from '@rekey/policy'
import type { Logger, Spool } from '@rekey/runtime'
import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import { authenticate, type Ways } from './access/authenticate.ts'
import { authorize, mustSayItsAction } from './access/authorize.ts'
import type { Issuer } from './access/bearer-of-issuer.ts'
import { type BreakGlassKeys, breakGlassSeal } from './access/break-glass.ts'
import { traceUses } from './access/break-glass-trace.ts'
import { journalledDenials } from './access/denials.ts'
import { sharedToken } from './access/shared-token.ts'
import { journalBell } from './bell.ts'
import { answerWithProblems } from './problem.ts'
import { approvalRoutes } from './routes/approvals.ts'
import { configurationRoutes } from './routes/configuration.ts'
import { credentialRoutes } from './routes/credentials.ts'
import { driftRoutes } from './routes/drift.ts'
import { healthRoutes } from './routes/health.ts'
import { inventoryRoutes } from './routes/inventory.ts'
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
import { VERSION } from './version.ts'

/** A configuration of some thousand documents fits. */
const BODY_BYTES_MAX = 4 * 1024 * 1024
/** An event's id may have 512 bytes, each of which takes three characters in a path. */
const PARAMETER_LENGTH_MAX = 3 * 512

export type ControlOptions = {
  ledger: Ledger
  logger: Logger
  /** The shared token. Whoever has it tells who they are, and is believed. */
  token?: Secret
  /** Of the tokens of single people and pipelines. */
  issuer?: Issuer
  tls?: Tls
  /** For people with a token that was made for them beforehand; each use is in the spool before it is carried out. */
  breakGlass?: { keys: BreakGlassKeys; spool: Spool<BreakGlassUse> }
  /** Who may what. Without them everybody who comes in may do everything: then only the shared token lets in. */
  policies?: Policies
  /** For `who`; without it that is refused. */
  fingerprints?: Fingerprints
  /** How often a silent watch says that it lives. */
  heartbeatMs?: number
}

/** PEM. With `clientCa` a certificate that this authority signed is a way in, beside tokens. */
export type Tls = { cert: string; key: string; clientCa?: string }

export async function buildControl(options: ControlOptions): Promise<FastifyInstance> {
  const { ledger, logger, policies } = options
  const ways = waysIn(options)
  const bell = journalBell(ledger)
  const settings: FastifyServerOptions = {
    loggerInstance: logger as FastifyBaseLogger,
    // Orders are logged with their actor below; the rest would be noise.
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: BODY_BYTES_MAX,
    routerOptions: { maxParamLength: PARAMETER_LENGTH_MAX },
    requestTimeout: 30_000,
    forceCloseConnections: true,
  }
  const app = options.tls ? overTls(settings, options.tls) : Fastify(settings)
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  app.decorateRequest('caller')
  app.decorateRequest('allowedBy')
  app.decorateRequest('approval')
  app.decorateRequest('use')
  const denials = policies && journalledDenials(ledger, logger, policies.digest)
  const seal = options.breakGlass && breakGlassSeal(ledger, options.breakGlass.spool, logger)
  app.addHook('preClose', async () => bell.close())
  app.addHook('onClose', async () => {
    options.issuer?.keys.close()
    await denials?.close()
    await seal?.close()
  })
  app.addHook('onResponse', async (request, reply) => {
    if (request.method === 'GET') return
    const { method, url, caller, allowedBy } = request
    const ms = Math.round(reply.elapsedTime)
    logger.info({ method, url, actor: caller?.actor, allowedBy, status: reply.statusCode, ms }, 'order')
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
      raw.addHook('onRoute', mustSayItsAction)
      raw.addHook('onRequest', async (request) => {
        request.caller = await authenticate(request, ways)
      })
      if (seal) traceUses(raw, seal)
      // After the request was found well formed, so that only real names come into the journal.
      raw.addHook('preHandler', async (request) => {
        if (policies && denials) request.allowedBy = await authorize(request, { policies, ledger, denials })
      })
      const api: Api = raw.withTypeProvider<ZodTypeProvider>()
      for (const add of V1) add(api, shared)
    },
    { prefix: '/v1' },
  )
  return app
}

function waysIn({ token, issuer, tls, policies, breakGlass }: ControlOptions): Ways {
  const certificates = tls?.clientCa !== undefined
  if (!token && !issuer && !certificates)
    throw new RekeyError(
      'invalid_configuration',
      'nobody could come in: no token, no issuer of tokens, no client CA',
    )
  if (!policies && (issuer || certificates || breakGlass))
    throw new RekeyError(
      'invalid_configuration',
      'an issuer of tokens, a client CA or break-glass tokens let in people who must not do everything: set CONTROL_POLICIES_DIR',
    )
  return { isShared: token && sharedToken(token), issuer, certificates, breakGlass: breakGlass?.keys }
}

/** A certificate is asked for and not demanded: a token is a way in, too. */
function overTls(settings: FastifyServerOptions, { cert, key, clientCa }: Tls): FastifyInstance {
  const client = clientCa === undefined ? {} : { ca: clientCa, requestCert: true, rejectUnauthorized: false }
  const app = Fastify({
    ...settings,
    https: { cert, key, minVersion: 'TLSv1.2', ...client },
  } as FastifyServerOptions)
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
  inventoryRoutes,
  driftRoutes,
  pauseRoutes,
  recoveryRoutes,
  approvalRoutes,
  versionRoutes,
]
