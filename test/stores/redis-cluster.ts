import type { PostgresTls } from '../support/postgres-tls.ts'
import { until } from '../support/until.ts'
import { startRedis, type RedisServer } from './redis-server.ts'

export interface RedisCluster extends AsyncDisposable {
  readonly nodes: readonly RedisServer[]
  /** The node that owns the keys with this hash tag, and those that follow it. */
  ownerOf(key: string): Promise<{ readonly owner: RedisServer; readonly followers: readonly RedisServer[] }>
}

const slots = 16_384
const word = (answer: string): string => answer.split('\r\n')[1] ?? ''
const lines = (answer: string): readonly string[] => answer.split('\n').map((line) => line.trim()).filter((line) => /^[0-9a-f]{40} /.test(line))

/** Three primaries that share the slots, each with a replica; a primary that is gone for a second is replaced. */
export const startCluster = async (tls: PostgresTls): Promise<RedisCluster> => {
  await using making = new AsyncDisposableStack()
  const settings = ['--cluster-enabled', 'yes', '--cluster-announce-ip', '127.0.0.1', '--cluster-node-timeout', '1000', '--cluster-replica-validity-factor', '0', '--repl-diskless-sync-delay', '0']
  const nodes: RedisServer[] = []
  for (let n = 0; n < 6; n++) nodes.push(making.use(await startRedis(settings, { tls })))
  const [first, ...others] = nodes as [RedisServer, ...RedisServer[]]
  for (const { port } of others) await first.command('CLUSTER', 'MEET', '127.0.0.1', String(port))
  const primaries = nodes.slice(0, 3)
  for (const [n, node] of primaries.entries()) await node.command('CLUSTER', 'ADDSLOTSRANGE', String(Math.ceil((n * slots) / 3)), String(Math.ceil(((n + 1) * slots) / 3) - 1))
  await until('all to know all', async () => (await Promise.all(nodes.map((node) => node.command('CLUSTER', 'NODES')))).every((answer) => lines(answer).filter((line) => !line.includes('handshake')).length === nodes.length), 20_000)
  for (const [n, node] of nodes.slice(3).entries()) {
    const id = word(await primaries[n]!.command('CLUSTER', 'MYID'))
    await until('a primary to be followed', async () => (await node.command('CLUSTER', 'REPLICATE', id)).startsWith('+OK'), 20_000)
  }
  await until('the cluster to be whole', async () => (await Promise.all(nodes.map((node) => node.command('CLUSTER', 'INFO')))).every((info) => info.includes('cluster_state:ok')), 20_000)
  await until('the followers to have all', async () => (await Promise.all(nodes.slice(3).map((node) => node.command('INFO', 'replication')))).every((info) => info.includes('master_link_status:up')), 20_000)

  const ownerOf: RedisCluster['ownerOf'] = async (key) => {
    const slot = Number((await first.command('CLUSTER', 'KEYSLOT', key)).slice(1))
    const known = lines(await first.command('CLUSTER', 'NODES')).map((line) => line.split(' '))
    const nodeAt = (address = ''): RedisServer => nodes.find(({ port }) => address.startsWith(`127.0.0.1:${port}@`))!
    const owner = known.find(([, , , , , , , , ...ranges]) => ranges.some((range) => { const [from, to] = range.split('-').map(Number); return slot >= from! && slot <= (to ?? from!) }))!
    return { owner: nodeAt(owner[1]), followers: known.filter(([, , , of]) => of === owner[0]).map(([, address]) => nodeAt(address)) }
  }
  const ends = making.move()
  return { nodes, ownerOf, [Symbol.asyncDispose]: () => ends.disposeAsync() }
}
