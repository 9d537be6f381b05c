export interface Change {
  readonly id: string
  readonly state: string
}

export type Liveness = { readonly state: 'live' | 'reconnecting' | 'ended' } | { readonly state: 'stale'; readonly since: number }

type Message = { readonly change: Change } | { readonly liveness: Liveness } | { readonly ask: true }

/** Without a word from the server for so long what is shown may be old. It says something every 15 seconds. */
const staleMs = 12_000
const retryMs = 3_000

/**
 * One stream for all pages of this browser: the page that has the lock holds it, and tells the others. When that page closes, another gets the lock.
 * Without locks or channels each page holds its own.
 */
export const followChanges = (onChange: (change: Change) => void, onLiveness: (liveness: Liveness) => void): void => {
  const channel = 'BroadcastChannel' in globalThis ? new BroadcastChannel('countersign') : undefined
  let latest: Liveness = { state: 'reconnecting' }
  let leading = false

  const told = (liveness: Liveness): void => {
    latest = liveness
    onLiveness(liveness)
    channel?.postMessage({ liveness } satisfies Message)
  }

  const lead = (): Promise<never> => {
    leading = true
    let last: string | undefined
    let since = 0
    let timer: ReturnType<typeof setTimeout> | undefined
    const open = (): void => {
      const source = new EventSource(`/api/holds/events${last === undefined ? '' : `?after=${encodeURIComponent(last)}`}`)
      source.onopen = () => {
        clearTimeout(timer)
        since = 0
        told({ state: 'live' })
      }
      source.addEventListener('hold', (event: MessageEvent<string>) => {
        last = event.lastEventId
        const change = JSON.parse(event.data) as Change
        onChange(change)
        channel?.postMessage({ change } satisfies Message)
      })
      source.onerror = () => {
        if (since === 0) {
          since = Date.now()
          told({ state: 'reconnecting' })
          timer = setTimeout(() => told({ state: 'stale', since }), staleMs)
        }
        if (source.readyState === EventSource.CLOSED) void isOver().then((over) => (over ? told({ state: 'ended' }) : setTimeout(open, retryMs)))
      }
    }
    told({ state: 'reconnecting' }) // what happened since the page before closed nobody told: on the way back all look again
    open()
    return new Promise(() => {})
  }

  channel?.addEventListener('message', ({ data }: MessageEvent<Message>) => {
    if ('change' in data) onChange(data.change)
    else if ('liveness' in data) onLiveness(data.liveness)
    else if (leading) channel.postMessage({ liveness: latest } satisfies Message)
  })
  if (channel === undefined || !('locks' in navigator)) void lead()
  else {
    void navigator.locks.request('countersign-stream', lead)
    channel.postMessage({ ask: true } satisfies Message)
  }
}

/** The server answers, and says that nobody is logged in. */
const isOver = async (): Promise<boolean> => {
  try {
    return (await fetch('/api/whoami', { signal: AbortSignal.timeout(5_000) })).status === 401
  } catch {
    return false
  }
}
