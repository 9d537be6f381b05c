import { sameParty, type Party, type Principal } from '../model/caller.ts'
import { voteChannels, type Assurance, type Circle, type Requirement, type Terms, type VoteChannel } from '../model/decision.ts'
import type { Vote } from '../model/hold.ts'

const strength: Record<Assurance, number> = { chat: 0, console: 1, passkey: 2 }

export const isSureEnough = (given: Assurance, asked: Assurance): boolean => strength[given] >= strength[asked]

/** Whether a vote was given soon enough after a fresh login, where one is asked for. */
export const isFreshEnough = ({ loggedInAt, at }: Pick<Vote, 'loggedInAt' | 'at'>, { freshLoginMs }: Pick<Requirement, 'freshLoginMs'>): boolean => freshLoginMs === undefined || (loggedInAt !== undefined && at - loggedInAt <= freshLoginMs)

/** Nobody logs in afresh in a chat. */
const asked = ({ assurance, freshLoginMs }: Requirement): Assurance => (assurance === 'chat' && freshLoginMs !== undefined ? 'console' : assurance)

/** Whether a requirement names this voter, however sure we are of them: people by group or account, automations by account alone, agents never. */
export const isNamed = (voter: Principal, { users, groups, automations = [] }: Circle & { readonly automations?: readonly Party[] }): boolean => {
  const isOneOf = (accounts: readonly Party[]): boolean => accounts.some((account) => sameParty(account, voter))
  if (voter.kind === 'human') return isOneOf(users) || (voter.groups?.some((group) => groups.includes(group)) ?? false)
  return voter.kind === 'workload' && isOneOf(automations)
}

/**
 * With less than this nobody's yes counts for anything: a channel that gives less has no button for it, and says where there is one.
 * A no never needs more than membership.
 */
export const leastAssurance = ({ requirements }: Terms): Assurance => requirements.map(asked).reduce((a, b) => (strength[a] <= strength[b] ? a : b), 'passkey')

/** Whether a yes through this channel counts here. Programs that a rule names have one of their own. */
export const takesFrom = ({ channels }: Pick<Requirement, 'channels'>, channel: Vote['channel']): boolean => channel === 'automation' || channels === undefined || channels.includes(channel)

/** Whether anybody's yes through this channel, as sure as it makes us, counts for anything: if not, it has no button for it. */
export const takesYes = ({ requirements }: Terms, channel: VoteChannel, given: Assurance): boolean => requirements.some((requirement) => takesFrom(requirement, channel) && isSureEnough(given, asked(requirement)))

/** The requirements that name this person, now or once they have escalated. */
const naming = ({ requirements }: Terms, voter: Principal): readonly Requirement[] => requirements.filter(({ escalation, ...requirement }) => isNamed(voter, requirement) || (escalation !== undefined && isNamed(voter, escalation)))

/** At most so long ago they must have logged in afresh, for their yes to count for every requirement that names them. */
export const freshLoginFor = (terms: Terms, voter: Principal): number | undefined => naming(terms, voter).map(({ freshLoginMs }) => freshLoginMs).reduce((a, b) => (a === undefined || (b !== undefined && b < a) ? b : a), undefined)

/** With this the yes of this person counts for every requirement that names them. */
export const fullAssurance = (terms: Terms, voter: Principal): Assurance => naming(terms, voter).map(asked).reduce((a, b) => (strength[a] >= strength[b] ? a : b), 'chat')

/** Through which channels a yes of this person counts for anything. */
export const channelsFor = (terms: Terms, voter: Principal): readonly VoteChannel[] => {
  const named = naming(terms, voter)
  return voteChannels.filter((channel) => named.some((requirement) => takesFrom(requirement, channel)))
}
