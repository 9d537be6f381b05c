import type { Names } from '../sql/names.ts'
import type { Ask } from './ask.ts'
import type { Catalog } from './catalog.ts'

/** What names mean in one session. */
export interface SessionNames extends Names {
  /**
   * False once the session may have made a temporary table or moved its search_path: until `refresh` no unqualified name is known.
   * Where it is false, refresh before the next statement is judged.
   */
  readonly current: boolean
  /** Call after every statement that was forwarded and is not known to leave names alone. */
  doubt(): void
  /** Asks the server, on the session's own connection. */
  refresh(ask: Ask): Promise<void>
  readonly catalog: Catalog
}
