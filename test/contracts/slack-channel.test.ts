import { makeSlack } from '../../src/channels/slack/slack.ts'
import { stateText } from '../../src/channels/words.ts'
import type { Hold } from '../../src/model/hold.ts'
import { startFakeSlack, tokens, type Message } from '../channels/slack/fake-slack.ts'
import { consoleUrl, slackOptions } from '../channels/slack/sample.ts'
import { silent } from '../channels/web/hold-desk.ts'
import { channelContract } from './channel-contract.ts'

channelContract('slack', async () => {
  const slack = await startFakeSlack()
  const about = ({ id }: Hold): readonly Message[] => slack.messages.filter(({ thread, blocks }) => thread === undefined && JSON.stringify(blocks).includes(id))
  const heading = ({ blocks }: Message): string => blocks.flatMap((block) => (block.type === 'header' ? [block.text.text] : [])).join().split(':', 1)[0] ?? ''
  return {
    connect: () => makeSlack(slackOptions(slack.url), () => consoleUrl, silent, 0),
    stands: (hold) => about(hold).map(heading).at(-1),
    word: (state) => (state === 'pending' ? 'Approval wanted' : stateText(state)),
    count: (hold) => about(hold).length,
    sent: slack.said,
    wrong: slack.refused,
    busyOnce: () => void slack.answers.set('chat.postMessage', [{ status: 429, headers: { 'retry-after': '1' } }]),
    get down() {
      return slack.down
    },
    set down(value) {
      slack.down = value
    },
    secrets: Object.values(tokens),
    showsText: true,
    mostBytes: 20_000,
    [Symbol.asyncDispose]: () => slack[Symbol.asyncDispose](),
  }
})
