import type { Issuer } from './servers/replica.ts'
import type { PartOptions, Row } from './frame.ts'
export const heldRows = async (_options: PartOptions, _issuer: Issuer): Promise<readonly Row[]> => []
