/** The CloudEvents attributes of a record, as Kafka headers (binary mode). */
export type AuditHeaders = {
  ce_specversion: string
  ce_id: string
  ce_source: string
  ce_type: string
  ce_time: string
  ce_subject: string
  'content-type': string
}

/** Read from the record itself, because only its bytes are stored: a resend has the same headers too. */
export function headersOf(bytes: string): AuditHeaders {
  const { metadata, time, unmapped } = JSON.parse(bytes)
  return {
    ce_specversion: '1.0',
    ce_id: metadata.uid,
    ce_source: '/rekey/audit',
    ce_type: `dev.rekey.audit.${metadata.event_code}.v1`,
    ce_time: new Date(time).toISOString(),
    ce_subject: metadata.correlation_uid ?? unmapped.rekey.stream,
    'content-type': 'application/json',
  }
}
