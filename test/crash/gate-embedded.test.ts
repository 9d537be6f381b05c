import { everyStep, killAt } from './gate-kills.ts'

killAt('embedded', everyStep)
