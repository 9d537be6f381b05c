#!/usr/bin/env -S node --min-semi-space-size=16 --max-semi-space-size=16
// The `countersign` command. Installed as a package it finds its dependencies in place; in a clone it installs them the first time.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { chooseNode, handOver, install, isRecent, root } from './bootstrap.js'

const main = join(root, 'src', 'cli', 'main.ts')
const ready = existsSync(join(root, 'node_modules')) || !existsSync(join(root, 'package-lock.json')) || install(root)

if (!ready) process.exitCode = 1
else if (isRecent(process.versions.node)) await import(main)
else {
  const node = chooseNode(root)
  if (node === undefined) process.exitCode = 1
  else handOver(node, main, process.argv.slice(2))
}
