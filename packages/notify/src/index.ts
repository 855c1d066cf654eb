export { messageFor } from './message.ts'
export { NOTICED_TYPES, type Notice, noticeOf } from './notice.ts'
