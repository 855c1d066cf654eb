/** Where the real servers of a test run are: started once by the root globalSetup, read with `inject('stack')`. */
export type StackAddresses = {
  kafkaBrokers: string[]
  redisUrl: string
  postgresUrl: string
  vaultAddr: string
  vaultRootToken: string
  awsEndpoint: string
  awsRegion: string
  awsCredentialsFile: string
  identitiesDir: string
}

declare module 'vitest' {
  export interface ProvidedContext {
    stack: StackAddresses
  }
}
