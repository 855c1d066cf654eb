import { posix } from 'node:path'
import { expect, test } from 'vitest'
import { exists, explain, handwritten, manifest, read } from './repository.ts'

const pages = handwritten().filter(({ path }) => path.endsWith('.md'))

/** `[text](target)`, but not in code. */
function linksOf(text: string): string[] {
  const prose = text.replaceAll(/```[\s\S]*?```/g, '').replaceAll(/`[^`\n]*`/g, '')
  return [...prose.matchAll(/\]\(([^()\s]+)\)/g)].map((match) => match[1] ?? '')
}

/** As GitHub makes the anchor of a heading. */
function anchorsOf(text: string): string[] {
  return [...text.replaceAll(/```[\s\S]*?```/g, '').matchAll(/^#+ (.+)$/gm)].map((match) =>
    (match[1] ?? '')
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

test('every relative link leads somewhere', () => {
  const broken = pages.flatMap(({ path, text }) =>
    linksOf(text)
      .filter((link) => !/^[a-z]+:/.test(link))
      .filter((link) => {
        const [file = '', anchor] = link.split('#')
        const to = file === '' ? path : posix.join(posix.dirname(path), file)
        if (!exists(to)) return true
        return anchor !== undefined && to.endsWith('.md') && !anchorsOf(read(to)).includes(anchor)
      })
      .map((link) => `${path}: ${link}`),
  )
  expect(broken, explain('These links lead to no file or heading.', broken)).toEqual([])
})

test('every page under docs is in the index', () => {
  const linked = linksOf(read('docs/README.md')).map((link) => posix.join('docs', link))
  const missing = pages
    .map(({ path }) => path)
    .filter((path) => path.startsWith('docs/') && path !== 'docs/README.md' && !linked.includes(path))
  expect(missing, explain('Add these to docs/README.md.', missing)).toEqual([])
})

test('decisions are named by their date', () => {
  const adrs = pages.map(({ path }) => path).filter((path) => path.startsWith('docs/adr/'))
  expect(adrs.length).toBeGreaterThan(0)
  for (const path of adrs) expect(path).toMatch(/^docs\/adr\/20\d{6}-[a-z0-9-]+\.md$/)
})

test('pages and scripts name the pnpm that the repository uses', () => {
  const { packageManager = '' } = manifest('.')
  const named = handwritten()
    .filter(({ path }) => path.endsWith('.md') || path.startsWith('.ci/'))
    .flatMap(({ path, text }) =>
      [...text.matchAll(/\bpnpm@\d+\.\d+\.\d+/g)].map(([what]) => ({ path, what })),
    )
    .filter(({ what }) => what !== packageManager)
    .map(({ path, what }) => `${path}: ${what}, and package.json says ${packageManager}`)
  expect(named, explain('One version everywhere.', named)).toEqual([])
})
