import { groupsAsked } from '../approval/marks.ts'
import type { Hold } from '../model/hold.ts'
import type { Interest } from './options.ts'

export const concerns = ({ services, tags, groups }: Interest, hold: Hold): boolean =>
  (services === undefined || services.includes(hold.action.service)) &&
  (tags === undefined || tags.some((tag) => hold.action.tags.includes(tag))) &&
  (groups === undefined || groupsAsked(hold).some((group) => groups.includes(group)))

export const holdUrl = (consoleUrl: string, hold: Hold): string => `${consoleUrl}/holds/${hold.id}`

/** What waits for whoever looks. */
export const listUrl = (consoleUrl: string): string => `${consoleUrl}/?tab=needs`
