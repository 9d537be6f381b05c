import type { Action, ActionPart } from '../model/action.ts'

/** A part as if it were asked for alone. Text and digest are those of the whole. */
export const asAction = (action: Action, { verb, verbs, effect, resources, tags, facts }: ActionPart): Action => {
  const { protocol, service, textCut, digest, shape } = action
  return { protocol, service, verb, verbs, effect, resources, tags, facts, textCut, digest, shape, get text() { return action.text } }
}

export const eachOf = (action: Action): readonly Action[] => action.parts?.map((part) => asAction(action, part)) ?? [action]
