export * from './change.ts'
export * from './judge.ts'
export * from './leak.ts'
