import type { Hold } from '../model/hold.ts'
import type { Interest } from './options.ts'

export const concerns = ({ services, tags, groups }: Interest, { action, terms }: Hold): boolean =>
  (services === undefined || services.includes(action.service)) &&
  (tags === undefined || tags.some((tag) => action.tags.includes(tag))) &&
  (groups === undefined || terms.requirements.some((requirement) => requirement.groups.some((group) => groups.includes(group))))

export const holdUrl = (consoleUrl: string, hold: Hold): string => `${consoleUrl}/holds/${hold.id}`
