import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { spawnTied } from '../../examples/world/tied.ts'
import { freePort } from './ports.ts'
import { makeTls, type PostgresTls } from './postgres-tls.ts'
import { until } from './until.ts'

/** One message, in the parts that rsyslog took it apart into. */
export interface Logged {
  readonly host: string
  readonly app: string
  readonly process: string
  readonly id: string
  readonly priority: string
  readonly time: string
  readonly data: string
  readonly text: string
}

/** A real rsyslogd of our own: its own configuration, port and folder; nothing of the system's. */
export interface TestRsyslog extends AsyncDisposable {
  readonly port: number
  /** PEM file of the authority of its certificate. */
  readonly ca: string
  logged(): readonly Logged[]
}

const configuration = (folder: string, port: number, tls: PostgresTls): string => `
global(workDirectory="${folder}" maxMessageSize="64k" defaultNetstreamDriver="ossl" defaultNetstreamDriverCAFile="${tls.ca}" defaultNetstreamDriverCertFile="${tls.cert}" defaultNetstreamDriverKeyFile="${tls.key}")
module(load="imtcp" streamDriver.name="ossl" streamDriver.mode="1" streamDriver.authMode="anon")
template(name="parts" type="string" string="%hostname%\\t%app-name%\\t%procid%\\t%msgid%\\t%pri%\\t%timereported:::date-rfc3339%\\t%structured-data%\\t%msg%\\n")
ruleset(name="all") { action(type="omfile" file="${folder}/out" template="parts") }
input(type="imtcp" address="127.0.0.1" port="${port}" ruleset="all")
`

export const startRsyslog = async (): Promise<TestRsyslog> => {
  const folder = await mkdtemp(join(tmpdir(), 'countersign-rsyslog-'))
  const tls = await makeTls(folder)
  const port = await freePort()
  writeFileSync(join(folder, 'rsyslog.conf'), configuration(folder, port, tls))
  const child = spawnTied('/usr/sbin/rsyslogd', ['-n', '-f', join(folder, 'rsyslog.conf'), '-i', 'NONE'], { signal: 'SIGKILL', folder, output: 'ignore' })
  await until('rsyslogd to listen', () => listens(port), 10_000)
  return {
    port,
    ca: tls.ca,
    logged: () => (existsSync(join(folder, 'out')) ? readFileSync(join(folder, 'out'), 'utf8').split('\n').slice(0, -1).map(partsOf) : []),
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      if (child.exitCode === null && child.signalCode === null) await ended
      await rm(folder, { recursive: true, force: true })
    },
  }
}

const partsOf = (line: string): Logged => {
  const [host = '', app = '', process = '', id = '', priority = '', time = '', data = '', text = ''] = line.split('\t')
  return { host, app, process, id, priority, time, data, text }
}

const listens = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.once('connect', () => (socket.destroy(), resolve(true)))
    socket.once('error', () => resolve(false))
  })
