import { readFileSync } from 'node:fs'
import WebSocket from 'ws'

/**
 * The least that can be a node: the same session with the fleet, with its own certificate, and nothing else. It answers
 * heartbeats, as every WebSocket does by itself. BARE_DIR is the state folder of a node that has enrolled.
 */
const { FLEET_URL = '', BARE_DIR = '' } = process.env
const { certificate, authorities } = JSON.parse(readFileSync(`${BARE_DIR}/enrolled.json`, 'utf8'))
const socket = new WebSocket(FLEET_URL, {
  key: readFileSync(`${BARE_DIR}/node.key`),
  cert: certificate,
  ca: authorities,
  minVersion: 'TLSv1.3',
  perMessageDeflate: false,
})
socket.on('open', () => {
  const hello = { type: 'hello', boot: crypto.randomUUID(), agentVersion: 'bare', adapters: [] }
  socket.send(JSON.stringify(hello))
})
socket.on('message', () => process.stdout.write('connected\n'))
// What it has compiled is kept for its next start, as the agent's is.
process.on('SIGTERM', () => process.exit())
