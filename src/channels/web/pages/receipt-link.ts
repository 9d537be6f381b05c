import { html, type Html } from './html.ts'

/** Both are names of ours. */
export const receiptLink = (name: string, file: string): Html => html`<p><a href="/api/receipts/${name}" download="${file}.receipt.json">Download the signed receipt</a> <small>for <code>countersign receipt verify</code></small></p>`
