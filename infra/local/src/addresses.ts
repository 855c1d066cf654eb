/** Where the servers are. */
export type Addresses = {
  kafka: { brokers: string[] }
  redis: { url: string }
  /** No password: the stack's owner, and only that role, is trusted on loopback. */
  postgres: { url: string }
  vault: { addr: string; rootTokenFile: string }
  aws: { endpoint: string; region: string; adminCredentialsFile: string }
}

export function environmentOf(addresses: Addresses): Record<string, string> {
  const all: Record<string, string> = {
    KAFKA_BROKERS: addresses.kafka.brokers.join(','),
    REDIS_URL: addresses.redis.url,
    DATABASE_URL: addresses.postgres.url,
    VAULT_ADDR: addresses.vault.addr,
    AWS_ENDPOINT_URL: addresses.aws.endpoint,
    AWS_REGION: addresses.aws.endpoint && addresses.aws.region,
  }
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''))
}
