/** A borrowed upstream secret. Disposing gives it back, where it has to be given back. */
export interface Credential extends Partial<AsyncDisposable> {
  /** Id at the place that issued it, for the record; absent for a static secret. */
  readonly lease?: string
  /** Headers to set on the upstream request; the caller's own credentials never pass. */
  readonly headers: readonly (readonly [name: string, value: string])[]
}
