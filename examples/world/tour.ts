import { styleText } from 'node:util'

export interface TourPlaces {
  /** Base URL that agents use. */
  readonly base: string
  /** How a shell gets the agent's token. */
  readonly agentToken: string
  /** What has to be done before, one command a line. */
  readonly before: readonly string[]
  /** Options by which the CLI finds the server and bob's login. */
  readonly asBob: string
  readonly afterwards: readonly string[]
}

const heading = (text: string): string => styleText('bold', text)

/** The commands to paste: one call that is allowed, one that is denied, one that waits. */
export const tourText = ({ base, agentToken, before, asBob, afterwards }: TourPlaces): string => {
  const agent = `-H "Authorization: Bearer ${agentToken}"`
  const json = (body: string): string => `-H 'Content-Type: application/json' -d '${body}'`
  return [
    heading('Paste these into a second terminal, in this folder:'),
    ...(before.length > 0 ? ['', ...before.map((line) => `   ${line}`)] : []),
    '',
    '1. The agent reads orders. Harmless, so it just works.',
    `   curl -s ${base}/v1/orders ${agent}`,
    '',
    '2. The agent changes settings. Denied, with a reason and what to do instead.',
    `   curl -s -X PUT ${base}/admin/settings ${agent} ${json('{"refunds":"manual"}')}`,
    '',
    '3. The agent refunds an order. That changes production, so the call waits for somebody of `oncall`.',
    `   curl -s ${base}/v1/orders/o-1003/refund ${agent} ${json('{"reason":"arrived broken"}')}`,
    '',
    heading('While it waits, in a third terminal in this folder, as bob of `oncall`:'),
    '',
    `   npx countersign holds ls ${asBob}`,
    `   npx countersign holds approve CS-XXXX ${asBob}`,
    '',
    'CS-XXXX is the code that ls shows; approve asks you to type it again. The waiting curl answers at that moment. Without an answer for 50 s it says so, and the same command again joins the same hold.',
    ...afterwards,
  ].join('\n')
}
