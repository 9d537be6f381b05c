import type { Permit } from '../../model/permit.ts'
import { Refusal } from '../../model/refusal.ts'
import type { Admission } from './admission.ts'
import { aborted, deniedText } from './answer.ts'
import type { Frame } from './codec/frame.ts'
import { frontend } from './codec/frontend.ts'
import { cstring, int16, int32, message } from './codec/writing.ts'
import type { CopyIn } from './copy-in.ts'
import type { Dialogue } from './dialogue.ts'
import type { Execution } from './execution.ts'
import type { Extended } from './extended.ts'
import { makePoison, poisonedExecute, poisonedQuery } from './poison.ts'
import { runningExecute, runningQuery } from './running.ts'
import type { Reading, StatementReading } from './sql/reading.ts'
import { hasFailed } from './state.ts'
import type { Statements } from './statements.ts'
import type { Watching } from './watching.ts'

export interface SimpleParts {
  readonly dialogue: Dialogue
  readonly admission: Admission
  readonly statements: Statements
  readonly extended: Extended
  readonly copyIn: CopyIn
}

/** Query and the function call: each is a batch of its own. What waits of the extended protocol goes before it. */
export class Simple {
  readonly #parts: SimpleParts

  constructor(parts: SimpleParts) {
    this.#parts = parts
  }

  query(frame: Frame, sql: string): Promise<void> | undefined {
    const { statements, extended } = this.#parts
    if (!extended.release()) return undefined
    const reading = statements.read(sql)
    return reading instanceof Promise ? reading.then((found) => this.#asked(frame, sql, found)) : this.#asked(frame, sql, reading)
  }

  #asked(frame: Frame, sql: string, reading: Reading): Promise<void> | undefined {
    const { dialogue, admission, statements, copyIn } = this.#parts
    if (dialogue.pipeline.skipping) return undefined // an earlier message failed while this one was read
    const obstacle = statements.obstacle(sql, reading, dialogue.pipeline.open)
    if (obstacle === 'wait') return dialogue.settled().then(() => this.#asked(frame, sql, reading))
    if (obstacle !== undefined) return void this.#refuse(obstacle)
    const [first] = reading.statements
    if (first === undefined) return void dialogue.send({ kind: 'query' }, frame.bytes)
    if (hasFailed(dialogue.pipeline, first)) return void this.#refuse(aborted)
    return statements.freshness.whenKnown(reading.statements, async () => {
      let sent: Execution | undefined
      let limited = false
      let granted: { readonly watch: Watching | undefined } | undefined
      await admission.admit({
        what: statements.inspectedText(sql, reading.statements),
        check: (obligations, effect) => statements.check(reading.statements, obligations, effect),
        send: (execution, permit) => {
          if (permit.grant?.rows !== undefined) return void (granted = { watch: this.#runAsPortal(sql, first, execution, permit) })
          const watch = statements.watch(reading.statements, execution, permit, { inBatch: false })
          const running = runningQuery(execution, statements.sent(reading.statements, permit.action), statements.forgetUnnamed(), beginsCopy(reading))
          dialogue.send(watch === undefined ? running : { ...running, rows: watch }, frame.bytes)
          sent = execution
          limited = watch?.limited === true
        },
        refuse: (refusal) => this.#refuse(deniedText(refusal, reading)),
      })
      if (granted !== undefined) return await this.#endPortal(granted.watch)
      if (sent !== undefined && beginsCopy(reading)) await copyIn.ofQuery(sent)
      // What follows is not sent into a cancelling.
      if (limited) await dialogue.settled()
    })
  }

  /** As a portal without a name, so that nothing stands before its rows are known: for what changes rows by a grant. `#endPortal` ends it. */
  #runAsPortal(sql: string, statement: StatementReading, execution: Execution, permit: Permit): Watching | undefined {
    const { dialogue, statements } = this.#parts
    const quiet = 'answers' as const
    const name = cstring('')
    const watch = statements.watch([statement], execution, permit, { inBatch: true })
    const effects = statements.sent([statement], permit.action)
    dialogue.send({ kind: 'parse', quiet }, message(frontend.parse, name, cstring(sql), int16(0)))
    dialogue.send({ kind: 'bind', quiet }, message(frontend.bind, name, name, int16(0), int16(0), int16(0)))
    if (statement.answers === 'rows') dialogue.send({ kind: 'describe', described: (frame) => { if (watch !== undefined) watch.description = frame } }, message(frontend.describe, 'P', name))
    dialogue.send({ ...runningExecute(execution, 0, effects, () => {}), ...(watch === undefined ? {} : { rows: watch }) }, message(frontend.execute, name, int32(0)))
    return watch
  }

  async #endPortal(watch: Watching | undefined): Promise<void> {
    const { dialogue, statements } = this.#parts
    await dialogue.settled()
    if (watch?.exceeded === true && !dialogue.pipeline.skipping) {
      const poison = makePoison(watch.limitError)
      dialogue.send({ kind: 'execute', poison }, poisonedExecute(poison))
    }
    dialogue.send({ kind: 'sync', ended: statements.forgetUnnamed() }, message(frontend.sync))
  }

  /** A call past all SQL. */
  functionCall(oid: number): void {
    const { statements, extended } = this.#parts
    if (!extended.release()) return
    const refusal = new Refusal('denied', 'Calls by the function-call message are refused: nobody can say what they do. Call the function in SQL.')
    statements.refused(`function call, oid ${oid}`, refusal)
    this.#refuse(refusal)
  }

  #refuse(refusal: Refusal | Buffer): void {
    const { dialogue, statements } = this.#parts
    const answer = Buffer.isBuffer(refusal) ? refusal : statements.errorFor(refusal)
    if (answer === undefined) return
    const poison = makePoison(answer)
    dialogue.send({ kind: 'query', poison, ended: statements.forgetUnnamed() }, poisonedQuery(poison))
  }
}

const beginsCopy = ({ statements }: Reading): boolean => statements.some(({ answers }) => answers === 'copy-in')
