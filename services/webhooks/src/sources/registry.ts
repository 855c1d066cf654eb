import type { Source } from '../source.ts'
import { argocd } from './argocd.ts'
import { flux } from './flux.ts'
import { github } from './github.ts'

/** Every kind of sender. A new one is a file beside this one, and a line here. */
export const SOURCES: readonly Source[] = [github, argocd, flux]
