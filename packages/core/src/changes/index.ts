export * from './change.ts'
export * from './judge.ts'
