import { everyStep, killAt } from './gate-kills.ts'

// The steps between two looks at the store are the same whatever the store is.
killAt('redis', everyStep.filter(({ at }) => / store |vote|spend|started$|service|finish/.test(at)))
