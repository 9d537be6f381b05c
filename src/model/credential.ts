/** A borrowed upstream secret. Disposing gives it back. */
export interface Credential extends AsyncDisposable {
  /** Id at the place that issued it, for the record; absent for a static secret. */
  readonly lease?: string
  /** Headers to set on the upstream request; the caller's own credentials never pass. */
  readonly headers: readonly (readonly [name: string, value: string])[]
}
