import type { Forecast, Owned } from '@rekey/ledger'

const EFFECT = {
  rotate: 'routine: waits until nobody uses it',
  expedite: 'leaked, keep serving',
  contain: 'leaked, stop it now: requests with it fail',
}

export function ordersFor({ credential, generation, forecast }: Owned): string[] {
  return [
    'what can be done, and what it took before:',
    ...forecast.map((f) => {
      const about = f.order === 'rotate' ? '' : ` --generation ${generation}`
      return `  rekey ${f.order} ${credential}${about} --reason "…" --wait\n      ${EFFECT[f.order]}; ${took(f)}`
    }),
  ]
}

function took({ deadAfterMs, outageMs, measured, of }: Forecast): string {
  if (!deadAfterMs) return 'not done lately, so nothing can be said of how long'
  const seconds = ({ middle, longest }: { middle: number; longest: number }) =>
    `${(middle / 1000).toFixed(1)} s, ${(longest / 1000).toFixed(1)} s at the most`
  const outage = outageMs
    ? `; the stores had the next one after ${seconds(outageMs)}, and clients when they read again`
    : ''
  return `proved dead after ${seconds(deadAfterMs)}${outage} (${measured} of ${of})`
}
