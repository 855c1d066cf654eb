export { type Denial, denialBook, type Tally } from './denial-book.ts'
export { readPolicyFolder } from './folder.ts'
export {
  type Consent,
  type Decision,
  loadPolicies,
  type Policies,
  type PolicySource,
  type Question,
} from './policies.ts'
export {
  ACTIONS,
  type Action,
  isOrder,
  nameOf,
  PRINCIPAL_TYPES,
  type Principal,
  type Resource,
  SCHEMA,
  UNKNOWN_CREDENTIAL,
  type Weight,
} from './vocabulary.ts'
