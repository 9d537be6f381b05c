import type { Ruse } from '../lib/plain-view.ts'

const warnings: Readonly<Record<Ruse, string>> = {
  hidden: 'Characters that cannot be seen are spelled out.',
  lookalike: 'Letters that pass for others are spelled out.',
  blanks: 'Long gaps are folded.',
}

/** What somebody who looks at such a text has to know. */
export const ruseText = (ruses: readonly Ruse[]): string => ruses.map((ruse) => warnings[ruse]).join(' ')
