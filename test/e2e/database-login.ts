import { readFile } from 'node:fs/promises'
import pg from 'pg'

/** As nodes have it: one line of JSON. */
export type Login = { username: string; password: string; host: string; port: number; dbname: string }

export const loginIn = async (file: string): Promise<Login> => JSON.parse(await readFile(file, 'utf8'))

/** The server's own code for a login, or `in`. */
export async function knockAt(login: string): Promise<string> {
  const { username, password, host, port, dbname }: Login = JSON.parse(login)
  const client = new pg.Client({ user: username, password, host, port, database: dbname })
  client.on('error', () => {})
  try {
    await client.connect()
    await client.end()
    return 'in'
  } catch (error) {
    return String((error as { code?: string }).code)
  }
}
