export interface ServerEvent {
  readonly event: string
  readonly data: string
  /** The last id that the stream gave, to go on from. */
  readonly id: string
}

const maxPending = 1 << 20

/** Server-sent events out of bytes. Comments and retry advice are left out; an event without data is none. */
export async function* readEvents(body: AsyncIterable<Uint8Array>, lastId = ''): AsyncGenerator<ServerEvent, void, undefined> {
  const decoder = new TextDecoder()
  let pending = ''
  let id = lastId
  let event = ''
  let data: string[] = []
  for await (const chunk of body) {
    pending += decoder.decode(chunk, { stream: true })
    if (pending.length + data.length > maxPending) throw new Error('an event is longer than 1 MB')
    // A carriage return at the end may be half of a line end: it waits for what follows.
    const lines = pending.split(/\r\n|\n|\r(?!$)/)
    pending = lines.pop() ?? ''
    for (const line of lines) {
      if (line === '') {
        if (data.length > 0) yield { event: event || 'message', data: data.join('\n'), id }
        event = ''
        data = []
        continue
      }
      const [, field, value = ''] = /^([^:]*)(?::[ ]?([\s\S]*))?$/.exec(line) ?? []
      if (field === 'data') data.push(value)
      else if (field === 'event') event = value
      else if (field === 'id' && !value.includes('\0')) id = value
    }
  }
}
