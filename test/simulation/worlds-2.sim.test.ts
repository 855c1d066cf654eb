import { test } from 'vitest'
import { keepsEveryPromise, SEEDS } from './many.ts'

test('every promise is kept in every world, second half', () => keepsEveryPromise(1 + SEEDS / 2, SEEDS / 2))
