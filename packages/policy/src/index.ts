export { type Denial, denialBook, type Tally } from './denial-book.ts'
export { readPolicyFolder } from './folder.ts'
export { type Decision, loadPolicies, type Policies, type PolicySource, type Question } from './policies.ts'
export {
  ACTIONS,
  type Action,
  nameOf,
  PRINCIPAL_TYPES,
  type Principal,
  type Resource,
  SCHEMA,
  UNKNOWN_CREDENTIAL,
} from './vocabulary.ts'
