import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, test } from 'node:test'
import { parse, parseAllDocuments } from 'yaml'
import { program } from '../scenarios/process.ts'
import { readDockerfile } from './dockerfile.ts'
import { root } from './image.ts'

interface Source {
  readonly serviceAccountToken?: { readonly path: string; readonly audience?: string; readonly expirationSeconds: number }
  readonly configMap?: { readonly name: string; readonly items?: readonly { readonly key: string; readonly path: string }[] }
}
interface Volume {
  readonly name: string
  readonly projected?: { readonly sources: readonly Source[] }
  readonly secret?: { readonly secretName: string; readonly defaultMode: number; readonly items: readonly { readonly key: string; readonly path: string }[] }
  readonly configMap?: { readonly name: string }
  readonly emptyDir?: { readonly sizeLimit: string }
}
interface Probe {
  readonly exec: { readonly command: readonly string[] }
}
interface Part {
  readonly name: string
  readonly image: string
  readonly args?: readonly string[]
  readonly restartPolicy?: string
  readonly env?: readonly { readonly name: string; readonly value?: string }[]
  readonly securityContext: Readonly<Record<string, unknown>>
  readonly resources: { readonly requests: object; readonly limits: object }
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean; readonly subPath?: string }[]
  readonly startupProbe?: Probe
  readonly readinessProbe?: Probe
  readonly livenessProbe?: Probe
  readonly lifecycle?: object
}
interface Pod extends Readonly<Record<string, unknown>> {
  readonly initContainers: readonly Part[]
  readonly containers: readonly Part[]
  readonly volumes: readonly Volume[]
}
interface Peer {
  readonly ipBlock?: { readonly cidr: string }
  readonly podSelector?: { readonly matchLabels: object }
  readonly namespaceSelector?: { readonly matchLabels: Readonly<Record<string, string>> }
}
interface Thing {
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string; readonly labels?: Readonly<Record<string, string>> }
  readonly data?: Readonly<Record<string, string>>
  readonly automountServiceAccountToken?: boolean
  readonly spec?: {
    readonly template?: { readonly metadata: { readonly labels: Readonly<Record<string, string>> }; readonly spec: Pod }
    readonly selector?: { readonly matchLabels: Readonly<Record<string, string>> }
    readonly podSelector?: { readonly matchLabels: Readonly<Record<string, string>> }
    readonly policyTypes?: readonly string[]
    readonly ingress?: readonly { readonly from: readonly Peer[]; readonly ports: readonly { readonly port: number }[] }[]
    readonly egress?: readonly { readonly to: readonly Peer[]; readonly ports: readonly { readonly port: number }[] }[]
  }
}

const folder = join(root, 'deploy/kubernetes')
const things = readdirSync(folder).filter((name) => name.endsWith('.yaml')).flatMap((name) => parseAllDocuments(readFileSync(join(folder, name), 'utf8')).map((document) => {
  assert.deepEqual(document.errors, [], name)
  return document.toJS() as Thing
}))
const named = (kind: string, name?: string): Thing => things.find((thing) => thing.kind === kind && (name === undefined || thing.metadata.name === name)) ?? assert.fail(`no ${kind} ${name}`)
const deployment = named('Deployment')
const pod = deployment.spec?.template?.spec ?? assert.fail('no pod')
const proxy = pod.initContainers.find(({ name }) => name === 'countersign') ?? assert.fail('no sidecar')
const agent = pod.containers[0] ?? assert.fail('no agent')
const volumeOf = (name: string): Volume => pod.volumes.find((volume) => volume.name === name) ?? assert.fail(`no volume ${name}`)
const config = parse(named('ConfigMap', 'countersign-config').data?.['countersign.yaml'] ?? '') as Readonly<Record<'listeners' | 'issuers' | 'agents' | 'services' | 'store', Readonly<Record<string, Readonly<Record<string, unknown>>>>>>

describe('deploy/kubernetes', () => {
  const home = mkdtempSync(join(tmpdir(), 'countersign-kubernetes-'))
  after(() => rmSync(home, { recursive: true, force: true }))
  const countersign = (...args: readonly string[]) => spawnSync(process.execPath, [program, ...args], { cwd: home, encoding: 'utf8', env: { PATH: process.env['PATH'] ?? '', HOME: home, HOSTNAME: 'invoice-agent-5d9c7-x2x4k', NO_COLOR: '1' } })

  /** As the kubelet lays a volume out: links to links to the files of one moment. */
  const lay = (volume: Volume, at: string): void => {
    const files: Record<string, string> = {}
    if (volume.configMap) Object.assign(files, named('ConfigMap', volume.configMap.name).data)
    for (const { path } of volume.secret?.items ?? []) files[path] = `${path}-of-32-bytes-or-more-for-a-test`
    for (const { serviceAccountToken, configMap } of volume.projected?.sources ?? []) {
      if (serviceAccountToken) files[serviceAccountToken.path] = 'a.token.here'
      for (const { path } of configMap?.items ?? []) files[path] = 'a certificate'
    }
    mkdirSync(join(at, '..2026_01_01'), { recursive: true })
    symlinkSync('..2026_01_01', join(at, '..data'))
    for (const [name, text] of Object.entries(files)) {
      writeFileSync(join(at, '..data', name), text)
      symlinkSync(join('..data', name), join(at, name))
    }
  }
  const here = (path: string): string => join(home, path)

  test('the configuration and the policies load as the pod would read them', { timeout: 60_000 }, () => {
    for (const { name, mountPath } of proxy.volumeMounts) lay(volumeOf(name), here(mountPath))
    const file = here((proxy.args ?? [])[2] ?? '')
    const text = readFileSync(file, 'utf8')
    // The containers' folders are this test's folders.
    rmSync(file)
    writeFileSync(file, proxy.volumeMounts.map(({ mountPath }) => mountPath).reduce((so, path) => so.replaceAll(path, here(path)), text))
    const checked = countersign('config', 'check', file)
    assert.equal(checked.status, 0, checked.stderr)
    assert.equal(checked.stderr, '', 'without a warning')
    const policies = here('/etc/countersign/policies')
    for (const args of [['policy', 'check', '--strict', '--config', file, policies], ['policy', 'test', '--config', file, policies]]) {
      const done = countersign(...args)
      assert.equal(done.status, 0, `${args.join(' ')}: ${done.stdout}${done.stderr}`)
    }
    assert.match(countersign('policy', 'test', '--config', file, policies).stdout, /^7 passed, 0 failed/m)
  })

  test('listens on loopback only', () => {
    for (const [name, { address }] of Object.entries(config.listeners)) assert.match(String(address), /^127\.0\.0\.1:\d+$/, name)
    assert.equal(agent.env?.find(({ name }) => name === 'ORDERS_API_URL')?.value, `http://${String(config.listeners['http']?.['address'])}`)
    assert.equal(agent.env?.find(({ name }) => name === 'CRM_URL')?.value, `postgres://invoice-agent@${String(config.listeners['postgres']?.['address'])}/${String(config.services['crm-db']?.['database'])}`)
  })

  test('no container may do more than it must', () => {
    assert.deepEqual(pod['securityContext'], { runAsNonRoot: true, fsGroup: 65532, seccompProfile: { type: 'RuntimeDefault' } })
    for (const { name, securityContext, resources } of [proxy, agent]) {
      const { runAsUser, ...rest } = securityContext
      assert.ok(Number(runAsUser) > 0, name)
      assert.deepEqual(rest, { runAsNonRoot: true, readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } })
      assert.ok(Object.keys(resources.requests).length > 0 && 'memory' in resources.limits, name)
    }
    assert.notEqual(proxy.securityContext['runAsUser'], agent.securityContext['runAsUser'])
    for (const key of ['hostNetwork', 'hostPID', 'hostIPC']) assert.equal(key in pod, false, key)
    assert.equal(pod['shareProcessNamespace'], false)
    assert.equal(named('Namespace').metadata.labels?.['pod-security.kubernetes.io/enforce'], 'restricted')
  })

  test('the agent has its own identity and no secret', () => {
    assert.equal(pod['automountServiceAccountToken'], false)
    assert.equal(named('ServiceAccount').automountServiceAccountToken, false)
    const mounted = agent.volumeMounts.map(({ name }) => volumeOf(name))
    assert.deepEqual(mounted.filter(({ secret, configMap }) => secret ?? configMap), [])
    const tokens = mounted.flatMap(({ projected }) => projected?.sources ?? [])
    const { audiences } = config.issuers['cluster'] as { readonly audiences: readonly string[] }
    assert.deepEqual(tokens.map(({ serviceAccountToken }) => serviceAccountToken?.audience), audiences)
    const { name, namespace = '' } = named('ServiceAccount').metadata
    assert.equal(pod['serviceAccountName'], name)
    assert.equal(config.agents['invoice-agent']?.['subject'], `system:serviceaccount:${namespace}:${name}`)
    for (const part of [proxy, agent]) for (const { name: variable } of part.env ?? []) assert.doesNotMatch(variable, /PASSWORD|_KEY|SECRET/, 'secrets are files')
  })

  test('the proxy has what its configuration names, made by the command in the README', () => {
    const secret = proxy.volumeMounts.map(({ name }) => volumeOf(name)).find((volume) => volume.secret)?.secret ?? assert.fail('no secret')
    assert.equal(secret.defaultMode & 0o007, 0)
    const readme = readFileSync(join(folder, 'README.md'), 'utf8')
    assert.ok(readme.includes(`create secret generic ${secret.secretName}`))
    for (const { key } of secret.items) assert.match(readme, new RegExp(`--from-(?:literal|file)=${key}\\b`))
    for (const { readOnly, subPath, name } of proxy.volumeMounts) {
      assert.equal(subPath, undefined, 'a subPath is never updated')
      assert.equal(readOnly ?? false, volumeOf(name).emptyDir === undefined, name)
    }
    assert.ok(proxy.volumeMounts.some(({ mountPath }) => mountPath === '/var/lib/countersign'))
  })

  test('starts before the agent and ends after it', () => {
    const image = readDockerfile(root).at(-1)
    assert.equal(proxy.restartPolicy, 'Always')
    assert.equal(pod['terminationGracePeriodSeconds'], 60)
    assert.deepEqual(proxy.lifecycle, { preStop: { sleep: { seconds: 5 } } })
    for (const probe of [proxy.startupProbe, proxy.readinessProbe, proxy.livenessProbe]) {
      assert.deepEqual(probe?.exec.command.slice(0, 3), image?.healthcheck)
      // Nobody listens here; what matters is that the words are understood.
      assert.equal(countersign(...(probe?.exec.command.slice(2) ?? []), '--url', 'http://127.0.0.1:1').status, 1)
    }
    assert.deepEqual(proxy.args?.slice(0, 2), image?.command.slice(0, 2))
  })

  test('the network lets through what the configuration needs, and names each of it', () => {
    const policies = things.filter(({ kind }) => kind === 'NetworkPolicy')
    const labels = deployment.spec?.template?.metadata.labels ?? {}
    const own = policies.find(({ metadata }) => metadata.namespace === deployment.metadata.namespace) ?? assert.fail('no policy for the agent')
    for (const [key, value] of Object.entries({ ...own.spec?.podSelector?.matchLabels, ...deployment.spec?.selector?.matchLabels })) assert.equal(labels[key], value)
    assert.deepEqual(own.spec?.policyTypes, ['Ingress', 'Egress'])
    assert.deepEqual(own.spec?.ingress, [])
    const allowed = own.spec?.egress ?? []
    for (const { to, ports } of allowed) {
      assert.ok(to.length > 0 && ports.length > 0, 'a rule without either is for everybody')
      for (const { ipBlock, podSelector } of to) assert.ok(ipBlock ? ipBlock.cidr.endsWith('/32') : podSelector, 'one place each')
    }
    const reaches = (url: string): boolean => {
      const { hostname, port } = new URL(url)
      const [, namespace] = hostname.split('.')
      return allowed.some(({ to, ports }) => ports.some((each) => String(each.port) === port) && to.some(({ namespaceSelector }) => namespaceSelector?.matchLabels['kubernetes.io/metadata.name'] === namespace))
    }
    const { upstream } = config.services['orders-api'] as unknown as { readonly upstream: string }
    assert.ok(reaches(upstream), upstream)
    assert.ok(reaches(String((config.store as unknown as { readonly url: string }).url).replace(/:\$\{.*\}@/, '')), 'the store')
    assert.ok(reaches(`postgres://${String(config.services['crm-db']?.['upstream'])}`), 'the database')
    for (const namespace of ['orders', 'databases']) {
      const other = policies.find(({ metadata }) => metadata.namespace === namespace)
      assert.deepEqual(other?.spec?.policyTypes, ['Ingress'])
      const peers = other?.spec?.ingress?.flatMap(({ from }) => from) ?? []
      assert.equal(peers.length, 1)
      for (const { podSelector } of peers) assert.deepEqual(podSelector?.matchLabels, own.spec?.podSelector?.matchLabels)
    }
  })
})
