import { plainView, type Ruse } from '../lib/plain-view.ts'
import type { Action } from '../model/action.ts'
import type { Payload } from './options.ts'

/** The action as a channel may show it. */
export interface ShownAction {
  readonly text: string
  /** All that will run can be read in it. */
  readonly isWhole: boolean
  /** `•••` stands in it for values. */
  readonly hides: boolean
  readonly ruses: readonly Ruse[]
}

/** `undefined`: nothing of its text may be shown there. What is hidden counts as not shown. */
export const shownAction = ({ text, textCut, outline }: Action, payload: Payload): ShownAction | undefined => {
  if (payload === 'none' || payload === 'summary' || (payload === 'outline' && outline === undefined)) return undefined
  const shown = payload === 'full' ? text : (outline ?? '')
  const hides = shown !== text
  return { ...plainView(shown), isWhole: !textCut && !hides, hides }
}
