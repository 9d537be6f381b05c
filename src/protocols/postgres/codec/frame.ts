/** One message as it came: its type byte (0 for a start-up packet) and all its bytes, type and length included. A view; copy what must outlive the chunk. */
export interface Frame {
  readonly type: number
  readonly bytes: Buffer
}
