import { pending } from './outcome.ts'
import type { Observation } from './observation.ts'
export const checkThat = async (sentence: string, _seen: Observation): Promise<void> => pending(`no check yet for: ${sentence}`)
