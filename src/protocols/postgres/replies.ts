import { backend, backendRules, readCommandComplete, readFields, readParameterStatus } from './codec/backend.ts'
import type { Frame } from './codec/frame.ts'
import { makeFrameWalk, type FrameWalk } from './codec/frames.ts'
import { Reader } from './codec/text.ts'
import { OutOfStep, type Pipeline, type Sent } from './pipeline.ts'
import { boundDiagnostic, guardDiagnostic, guardNotification } from './rows/diagnostics.ts'
import type { RowWriter } from './rows/writer.ts'
import { readable } from './settings.ts'
import type { SpentMemory } from './spent-memory.ts'

/** Looks at the rows of one message's results. */
export interface RowWatch {
  /** `undefined`: rows came that nobody described. */
  readonly masks: boolean
  begin(description: Buffer | undefined): RowWriter
  /** The limit is passed: the server is to be stopped. */
  over(): void
  /** The result has ended. Gives back what the client gets instead of the message that ends it. */
  end(writer: RowWriter | undefined, last: Buffer): Buffer
}

/** A message of which `Replies` hears more than `Pipeline` has to know. */
export interface Expecting extends Sent {
  readonly rows?: RowWatch
  /** The client did not ask: its answers are ours. `all`: an error too. */
  readonly quiet?: 'answers' | 'all'
  described?(frame: Buffer): void
  /** Each row, instead of passing it on. */
  row?(values: readonly (string | null)[]): void
  parameterTypes?(frame: Buffer): void
}

export interface RepliesParts {
  readonly pipeline: Pipeline
  /** Longest row that is read whole. */
  readonly rowBytes: number
  /** Takes what was made here on the way to the client. */
  readonly spent: SpentMemory
  toClient(bytes: Buffer): void
  /** A setting of the session, as the server says that it is now. */
  reported(name: string, value: string): void
  /** ReadyForQuery came for this message. */
  ready(sent: Expecting): void
}

/** From the server to the client: what passes, passes as it came; what belongs to us is taken out; an answer to a poison is replaced. */
export class Replies {
  readonly #parts: RepliesParts
  readonly #walk: FrameWalk
  #writer: RowWriter | undefined
  #pieces: Buffer[] = []
  #from = 0
  #guarded = false
  /** What comes until ReadyForQuery is not for the client: it has been told that there is an error. */
  #mute = false

  constructor(parts: RepliesParts) {
    this.#parts = parts
    this.#walk = makeFrameWalk(backendRules({ rowBytes: parts.rowBytes }), true)
  }

  /** Errors, notices and notifications quote values: they lose their texts from now on. */
  guardTexts(): void {
    this.#guarded = true
  }
  get guarded(): boolean {
    return this.#guarded
  }

  /** Between two messages: something of our own may be said. */
  get between(): boolean {
    return this.#walk.whole && this.#writer?.open !== true
  }

  /** Rows come one by one and whole: while we ask for ourselves. */
  set asking(value: boolean) {
    this.#walk.rowByRow = value
  }

  /** Nothing of the chunk is kept but what went to the client. */
  feed(chunk: Buffer): void {
    const walk = this.#walk
    walk.feed(chunk)
    this.#from = 0
    let walked = walk.chunk
    let until = 0
    while (walk.next()) {
      this.#step(walk)
      walked = walk.chunk
      until = walk.end
    }
    if (until > this.#from && !this.#mute) this.#pieces.push(until - this.#from === walked.length ? walked : walked.subarray(this.#from, until))
    this.#flush()
    if (walked !== chunk) this.#parts.spent.add(walked.buffer)
  }

  #step(walk: FrameWalk): void {
    const { pipeline } = this.#parts
    const head = pipeline.head as Expecting | undefined
    switch (walk.type) {
      case backend.dataRow:
        return this.#rows(head)
      case backend.commandComplete:
        this.#ends(head)
        return pipeline.commandDone(readCommandComplete(this.#frame()))
      case backend.readyForQuery:
        return this.#ready(head)
      case backend.bindComplete:
        this.#hide(head)
        return pipeline.completed('bind')
      case backend.parseComplete:
        this.#hide(head)
        return pipeline.completed('parse')
      case backend.closeComplete:
        this.#hide(head)
        return pipeline.completed('close')
      case backend.rowDescription:
      case backend.noData:
        return this.#description(head)
      case backend.parameterDescription:
        head?.parameterTypes?.(this.#bytes())
        return this.#hide(head)
      case backend.emptyQuery:
        this.#hide(head)
        return pipeline.commandDone(undefined)
      case backend.portalSuspended:
        this.#ends(head)
        return pipeline.portalSuspended()
      case backend.error:
        return this.#error(head)
      case backend.copyIn:
        return pipeline.copyBegins()
      case backend.copyOut:
      case backend.copyDone:
      case backend.copyData:
        if ((head?.kind !== 'query' && head?.kind !== 'execute') || head.rows?.masks === true || head.quiet !== undefined) throw new OutOfStep('a copy came where there is none')
        return
      case backend.notice:
        if (head?.quiet === 'all') return this.#replace(undefined)
        return this.#swap(this.#diagnostic(this.#frame()))
      case backend.notification:
        return this.#swap(guardNotification(this.#frame(), this.#guarded))
      case backend.parameterStatus: {
        const { name, value } = readParameterStatus(this.#frame())
        if (!readable(name, value)) throw new OutOfStep(`the server reports ${name} as ${value.slice(0, 64)}`)
        this.#parts.reported(name, value)
        return this.#hide(head)
      }
      default:
        throw new OutOfStep(`a message of type ${walk.type} came`)
    }
  }

  #rows(head: Expecting | undefined): void {
    const kind = head?.kind
    if (kind !== 'execute' && kind !== 'query') throw new OutOfStep('rows came that nobody asked for')
    if (head?.row !== undefined) {
      head.row(rowValues(this.#bytes()))
      return this.#replace(undefined)
    }
    const watch = head?.rows
    if (watch === undefined) return
    this.#writer ??= watch.begin(undefined)
    const out: Buffer[] = []
    const bytes = this.#bytes()
    if (this.#writer.push(bytes, 0, out) !== bytes.length) throw new Error('the writer of rows left some of them')
    this.#replace(...out)
    if (this.#writer.made !== undefined) this.#parts.spent.add(this.#writer.made)
    if (this.#writer.over) watch.over()
  }

  #description(head: Expecting | undefined): void {
    this.#hide(head)
    const rows = head?.kind === 'query' ? head.rows : undefined
    if (this.#walk.type === backend.rowDescription && (rows !== undefined || head?.described !== undefined)) {
      const frame = Buffer.from(this.#bytes())
      head?.described?.(frame)
      if (rows !== undefined) this.#writer = rows.begin(frame)
    }
    this.#parts.pipeline.described()
  }

  /** A result is over. */
  #ends(head: Expecting | undefined): void {
    const watch = head?.rows
    this.#hide(head)
    if (watch === undefined) return
    const writer = this.#writer
    if (writer?.open === true) throw new OutOfStep('a result ended in the middle of a row')
    this.#writer = undefined
    const bytes = this.#bytes()
    const last = watch.end(writer, bytes)
    if (last === bytes) return
    this.#replace(last)
    this.#mute = head?.kind === 'query'
  }

  #error(head: Expecting | undefined): void {
    const bytes = Buffer.from(this.#bytes())
    const watch = head?.rows
    const writer = this.#writer
    this.#writer = undefined
    const ours = this.#parts.pipeline.errorCame(bytes)
    if (head?.quiet === 'all') return this.#replace(undefined)
    if (ours !== bytes) return this.#replace(ours)
    const last = watch === undefined ? bytes : watch.end(writer, bytes)
    this.#replace(last === bytes ? (stoppedText(head, bytes) ?? this.#diagnostic({ type: backend.error, bytes })) : last)
  }

  #ready(head: Expecting | undefined): void {
    const bytes = this.#bytes()
    this.#hide(head)
    const sent = this.#parts.pipeline.ready(bytes[5] as number) as Expecting
    this.#writer = undefined
    if (this.#mute) this.#from = this.#walk.start
    this.#mute = false
    this.#parts.ready(sent)
  }

  #diagnostic(frame: Frame): Buffer {
    return this.#guarded ? guardDiagnostic(frame) : boundDiagnostic(frame)
  }

  /** In the place of this step, where it is not the step itself. */
  #swap(bytes: Buffer): void {
    if (bytes.length !== this.#walk.end - this.#walk.start || !bytes.equals(this.#bytes())) this.#replace(bytes)
  }

  #hide(head: Expecting | undefined): void {
    if (head?.quiet !== undefined) this.#replace(undefined)
  }

  #bytes(): Buffer {
    return this.#walk.chunk.subarray(this.#walk.start, this.#walk.end)
  }

  #frame(): Frame {
    return { type: this.#walk.type, bytes: this.#bytes() }
  }

  /** All before this step passes as it is; in its place the client gets these. */
  #replace(...pieces: readonly (Buffer | undefined)[]): void {
    this.#pass(this.#walk.start)
    for (const piece of pieces) if (piece !== undefined && piece.length > 0 && !this.#mute) this.#pieces.push(piece)
    this.#from = this.#walk.end
  }

  #pass(until: number): void {
    if (until > this.#from && !this.#mute) this.#pieces.push(this.#walk.chunk.subarray(this.#from, until))
    this.#from = Math.max(this.#from, until)
  }

  #flush(): void {
    const pieces = this.#pieces
    if (pieces.length === 0) return
    this.#pieces = []
    this.#parts.toClient(pieces.length === 1 ? (pieces[0] as Buffer) : Buffer.concat(pieces))
  }
}

const canceled = '57014'

/** Where the server says that it was stopped, and a policy wanted that. */
const stoppedText = (head: Expecting | undefined, error: Buffer): Buffer | undefined => {
  const stopped = head?.execution?.stopped
  return stopped !== undefined && readFields({ type: backend.error, bytes: error }).get('C') === canceled ? stopped : undefined
}

const rowValues = (frame: Buffer): readonly (string | null)[] => {
  const reader = new Reader(frame, 5)
  const values: (string | null)[] = []
  for (let left = reader.uint16(); left > 0; left--) {
    const length = reader.int32()
    values.push(length < 0 ? null : reader.slice(length).toString())
  }
  reader.done()
  return values
}
