export { type Login, loginOf, secretOf } from './login.ts'
export { type LoginServerSpec, postgresLoginServer } from './login-server.ts'
export { type RolePairAuthority, type RolePairOptions, rolePairAuthority } from './role-pair.ts'
export { tryValue } from './try-login.ts'
