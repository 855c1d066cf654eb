import { describe, expect, test } from 'vitest'
import { contentOf, differenceOf, exposureOf, quoted } from './databases.ts'

const login = {
  username: 'shop_app_a',
  password: 'planted',
  host: 'db.example',
  port: 5432,
  dbname: 'shop',
  sslmode: 'verify-full' as const,
}
const wanted = { login, generation: 7 }

/** As PgBouncer's own reader takes a quoted value apart: a doubled quote is one, the next single one is the end. */
function readBack(text: string): string {
  let value = ''
  for (let at = 1; ; at += 1) {
    const [sign, next] = [text[at], text[at + 1]]
    if (sign === undefined) throw new Error('no end')
    if (sign === "'" && next !== "'") {
      if (at !== text.length - 1) throw new Error('an end in the middle')
      return value
    }
    value += sign
    if (sign === "'") at += 1
  }
}

describe('a value in an ini file', () => {
  test.each([
    'planted',
    "it's",
    "''",
    "'",
    "ends with '",
    ' spaces ',
    'a=b',
    '; comment',
    '# comment',
    '%include x',
    '[databases]',
    '\\',
    "\\'",
    '"quoted"',
    '$' + '{x}',
    '\t',
    'ünïcode 密码',
  ])('is read as it was: %j', (value) => {
    expect(readBack(quoted(value))).toBe(value)
    expect(quoted(value)).not.toContain('\n')
  })

  test.each(['a\nb', 'a\0b'])('cannot hold %j, and the error does not repeat it', (value) => {
    expect(() => quoted(value)).toThrow(
      /^PgBouncer cannot read a login with a line break or a zero byte in it$/,
    )
  })
})

describe('the file', () => {
  test('has the alias with its login, and the mark of its generation', () => {
    expect(
      contentOf('shop', wanted)
        .split('\n')
        .filter((line) => !line.startsWith(';')),
    ).toEqual([
      '[databases]',
      "shop = host='db.example' port='5432' dbname='shop' user='shop_app_a' password='planted'",
      'shop.g7 = host=/dev/null',
      '',
    ])
  })

  test('has no alias where there is nothing to present', () => {
    expect(contentOf('shop', undefined)).toMatch(/^;.*\n\[databases\]\n$/)
  })
})

describe('what PgBouncer shows', () => {
  const shown = { name: 'shop', host: 'db.example', port: 5432, database: 'shop', force_user: 'shop_app_a' }
  const mark = { name: 'shop.g7', host: '/dev/null', port: 5432, database: 'shop.g7', force_user: null }
  const of = (rows: Record<string, unknown>[]) => differenceOf(rows, 'shop', wanted)

  test('is right with the login and the mark', () => {
    expect(of([mark, shown])).toBeUndefined()
  })

  test('is wrong without the mark: another generation may have the same user', () => {
    expect(of([shown, { ...mark, name: 'shop.g6' }])).toMatch(/has not taken the file: .*%include/)
  })

  test.each([
    { host: 'other' },
    { port: 5433 },
    { database: 'other' },
    { force_user: 'shop_app_b' },
    { force_user: null },
    { name: 'other' },
  ])('is wrong with %o', (other) => {
    expect(of([mark, { ...shown, ...other }])).toMatch(/another login for shop: .*no line of its own/)
  })

  test('is right with no login where none is wanted', () => {
    expect(differenceOf([], 'shop', undefined)).toBeUndefined()
    expect(differenceOf([shown], 'shop', undefined)).toMatch(/still has a login for shop/)
  })
})

describe('settings that would give a login away', () => {
  const settings = (verbose: string, sslmode: string) => [
    { key: 'verbose', value: verbose },
    { key: 'server_tls_sslmode', value: sslmode },
  ]
  test.each([
    ['0', 'verify-full', 'verify-full', undefined],
    ['1', 'verify-full', 'verify-full', /verbose = 0/],
    ['0', 'prefer', 'verify-full', /server_tls_sslmode = verify-full/],
    ['0', 'verify-ca', 'verify-full', /server_tls_sslmode = verify-full/],
    ['0', 'disable', 'disable', undefined],
  ] as const)('verbose %s, %s where %s is meant', (verbose, has, sslmode, expected) => {
    const found = exposureOf(settings(verbose, has), { ...wanted, login: { ...login, sslmode } })
    if (expected) expect(found).toMatch(expected)
    else expect(found).toBeUndefined()
  })
})
