import { parentPort } from 'node:worker_threads'
import { makeParser } from './parser.ts'
import { readWith } from './read.ts'

/** Reads long texts for `LongTexts`, one after the other. */
const parser = await makeParser()

parentPort?.on('message', (text: string) => {
  // A text that ruined the parser has taken its instance with it.
  void parser.ready().then(() => parentPort?.postMessage(readWith(parser, text)))
})
