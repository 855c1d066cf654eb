import type { Bench } from '../bench.ts'
import type { Figure } from '../report.ts'
import { digits, percentile } from '../statistics.ts'
import { startAws } from '../world/aws-place.ts'
import { countCalls } from '../world/calls.ts'
import { rotateUnderQuota, type UnderQuota, WRITES } from '../world/under-quota.ts'

/** Secrets Manager takes 50 writes a second in one account and region. */
const WRITES_PER_S = 50

/** What a rotation asks of the backends, and how near to AWS's quota many of them come without being refused. */
export async function quota({ quick, say }: Bench): Promise<Figure> {
  const size = quick ? { rotations: 24, parallel: 8 } : { rotations: 500, parallel: 24 }
  const place = await startAws(WRITES_PER_S, (line) => say(`quota: ${line}`))
  try {
    const calls = await countCalls(place)
    say(`quota: ${size.rotations} rotations, paced`)
    const paced = await rotateUnderQuota(place, { ...size, region: 'eu-west-2', isPaced: true })
    say(`quota: ${size.rotations} rotations, as fast as they go`)
    const bare = await rotateUnderQuota(place, { ...size, region: 'eu-west-3', isPaced: false })
    say('quota: an emergency alone')
    const alone = await rotateUnderQuota(place, {
      rotations: 0,
      parallel: 1,
      region: 'eu-central-1',
      isPaced: true,
    })
    return {
      name: 'quota',
      floor: `the quota itself: ${WRITES_PER_S} writes/s to Secrets Manager, ${digits(WRITES_PER_S / WRITES)} rotations/s of ${WRITES} writes`,
      tables: [
        {
          title: 'requests of one routine rotation',
          columns: ['backend', 'until the new value serves', 'to end the old one', 'together'],
          rows: calls.map(({ backend, up, down }) => [backend, up, down, up + down].map(String)),
        },
        {
          title: `${size.rotations} rotations, ${size.parallel} at once, against an endpoint that refuses what is above ${WRITES_PER_S} writes/s`,
          columns: ['', 'rotations/s', 'of the quota', 'refused calls'],
          rows: [row('paced by Rekey', paced), row('as fast as they go, and again when refused', bare)],
        },
        {
          title: 'an emergency, until readers of the store have its value',
          columns: ['', 'p50 ms', 'most ms'],
          rows: [
            late('in the midst of the paced ones', paced),
            late('in the midst of the others', bare),
            late('alone', alone),
          ],
        },
      ],
      notes: [
        "AWS's own rotation function makes 13 requests until the new value serves, and does not end the old one",
        'the stores of a rotation alone, without Rekey’s other steps: what Secrets Manager lets through, and no more',
      ],
    }
  } finally {
    await place.stop()
  }
}

function row(name: string, { rotations, seconds, refused }: UnderQuota): string[] {
  const perS = rotations / seconds
  const share = (perS * WRITES * 100) / WRITES_PER_S
  return [name, digits(perS), `${digits(share)} %`, String(refused)]
}

function late(name: string, { emergencies }: UnderQuota): string[] {
  return [name, digits(percentile(emergencies, 0.5)), digits(Math.max(...emergencies))]
}
