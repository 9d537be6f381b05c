import assert from 'node:assert/strict'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { stringify } from 'yaml'
import { makeShell } from './shell.ts'

test('an address that is taken: said with its listener, not as a fault of the program', async () => {
  await using shell = await makeShell()
  const other = createServer().listen(0, '127.0.0.1')
  await once(other, 'listening')
  const taken = `127.0.0.1:${(other.address() as AddressInfo).port}`
  const free = '127.0.0.1:0'
  await writeFile(join(shell.home, 'policy.yaml'), stringify({ policy: 'orders', services: ['orders'], rules: [{ name: 'read', then: 'allow', callers: { kind: 'human' }, methods: ['GET'] }] }))
  try {
    for (const name of ['http', 'console', 'admin']) {
      const listeners = Object.fromEntries(['http', 'console', 'admin'].map((one) => [one, { address: one === name ? taken : free, ...(one === 'console' ? { hosts: ['127.0.0.1'], url: 'http://127.0.0.1' } : {}) }]))
      await writeFile(join(shell.home, 'countersign.yaml'), stringify({ data: join(shell.home, name), listeners, issuers: { corp: { issuer: 'http://127.0.0.1:1', audiences: ['countersign'] } }, services: { orders: { upstream: 'http://127.0.0.1:1' } }, policies: ['policy.yaml'] }))
      const { code, err } = await shell.run(['serve'], { env: { COUNTERSIGN_LOG: 'silent' } })
      assert.deepEqual([code, err], [1, `countersign: listeners.${name}.address: ${taken} is in use by another program\n`])
    }
  } finally {
    other.close()
  }
})
