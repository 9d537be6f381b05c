import type { DeclareCursorStmt, ExplainStmt, Node, PrepareStmt, TransactionStmt, VariableSetStmt } from '@pgsql/types'
import { argumentsOfExecute } from '../arguments.ts'
import type { Control } from '../reading.ts'
import { settingKind } from '../settings.ts'
import { opened, Unclassified, type Handlers, type Place, type Rest, type Walk } from '../walk.ts'
import { literalOf, type } from './spelling.ts'
import { usesOf } from '../uses.ts'

/** Names and arguments of options, such as those of EXPLAIN and BEGIN. */
const options = (nodes: readonly Node[] | undefined): readonly { readonly name: string; readonly arg: Node | undefined }[] =>
  (nodes ?? []).map((node) => {
    if (!('DefElem' in node)) throw new Unclassified('an option is no option')
    return { name: node.DefElem.defname ?? '', arg: node.DefElem.arg }
  })

const change = (variable: string, value: string | undefined, walk: Walk, place: Place): void => {
  const { kind, forbidden } = settingKind(variable, value)
  walk.kind(kind, place)
  if (forbidden !== undefined) walk.found.forbid(forbidden)
}

/** BEGIN READ WRITE leaves a read-only session: that is a change of the session. */
const transactionModes = (modes: readonly Node[] | undefined, walk: Walk, place: Place): void => {
  for (const { name, arg } of options(modes)) if (settingKind(name, literalOf(arg)).kind !== 'set') walk.kind('session', place)
}

const set = (statement: VariableSetStmt, walk: Walk, place: Place): Rest<keyof VariableSetStmt> => {
  const name = statement.name ?? ''
  const values = (statement.args ?? []).map((arg) => literalOf(arg))
  const local = statement.is_local === true
  const control = (variable: string, value?: string): Control => ({ does: 'set', variable, local, ...(value === undefined ? {} : { value }) })
  switch (statement.kind) {
    case 'VAR_SET_VALUE': {
      const value = values.includes(undefined) ? undefined : values.join(', ')
      change(name, value, walk, place)
      // A value that is no literal is no value that anybody could follow.
      if (value === undefined) walk.kind('session', place)
      walk.found.control = control(name.toLowerCase(), value)
      break
    }
    case 'VAR_SET_DEFAULT':
    case 'VAR_RESET':
      change(name, undefined, walk, place)
      walk.found.control = control(name.toLowerCase())
      break
    case 'VAR_SET_MULTI':
      if (name !== 'TRANSACTION' && name !== 'SESSION CHARACTERISTICS') {
        walk.kind('session', place)
        break
      }
      walk.kind('set', place)
      transactionModes(statement.args, walk, place)
      break
    case 'VAR_RESET_ALL':
      walk.kind('session', place)
      walk.found.control = control('all')
      break
    default:
      walk.kind('session', place)
  }
  return { done: ['args'] }
}

const controls: Readonly<Record<string, Control['does'] | undefined>> = {
  TRANS_STMT_BEGIN: 'begin', TRANS_STMT_START: 'begin', TRANS_STMT_COMMIT: 'commit', TRANS_STMT_ROLLBACK: 'rollback',
  TRANS_STMT_SAVEPOINT: 'savepoint', TRANS_STMT_RELEASE: 'release', TRANS_STMT_ROLLBACK_TO: 'rollback-to',
}

const transaction = (statement: TransactionStmt, walk: Walk, place: Place): Rest<keyof TransactionStmt> => {
  const does = controls[statement.kind ?? '']
  walk.kind(does === undefined ? 'session' : 'transaction', place)
  transactionModes(statement.options, walk, place)
  if (does === 'begin' || does === 'commit' || does === 'rollback') walk.found.control = { does, ...(statement.chain === true ? { chain: true } : {}) }
  if (does === 'savepoint' || does === 'release' || does === 'rollback-to') walk.found.control = { does, name: statement.savepoint_name ?? '' }
  return { done: ['options'] }
}

/** The statement that gets a name counts as itself; what the name means is kept for whoever uses it later. */
const named = (query: Node | undefined, walk: Walk, place: Place): Control & { readonly does: 'prepare' } => {
  const body = walk.fresh()
  const at: Place = { ...place, top: true }
  body.node(query, at)
  walk.node(query, at)
  return { does: 'prepare', name: '', body: Object.freeze({ ...body.found.reading(walk.source.text), ...usesOf(query) }) }
}

const prepare = (statement: PrepareStmt, walk: Walk, place: Place): Rest<keyof PrepareStmt> => {
  for (const argument of statement.argtypes ?? []) {
    const [name, fields] = opened(argument)
    if (name === 'TypeName') type(fields, walk)
  }
  walk.found.control = { ...named(statement.query, walk, place), name: statement.name ?? '' }
  walk.found.answers = 'nothing'
  // The parameters are those of the name, not of this statement.
  walk.found.parameters = 0
  return { done: ['query'] }
}

const holdCursor = 0x20

const declare = (statement: DeclareCursorStmt, walk: Walk, place: Place): Rest<keyof DeclareCursorStmt> => {
  const { body } = named(statement.query, walk, place)
  walk.found.control = { does: 'declare', name: statement.portalname ?? '', hold: ((statement.options ?? 0) & holdCursor) !== 0, body }
  walk.found.answers = 'nothing'
  return { done: ['query'] }
}

const explainOptions: ReadonlySet<string> = new Set(['analyze', 'verbose', 'costs', 'settings', 'generic_plan', 'buffers', 'serialize', 'wal', 'timing', 'summary', 'memory', 'format'])

const isOff = (arg: Node | undefined): boolean => {
  if (arg === undefined) return false
  if ('Integer' in arg) return (arg.Integer.ival ?? 0) === 0
  if ('Boolean' in arg) return arg.Boolean.boolval !== true
  return 'String' in arg && ['false', 'off'].includes((arg.String.sval ?? '').toLowerCase())
}

/** Runs its statement if any ANALYZE in it is not plainly off. */
const explain = (statement: ExplainStmt, walk: Walk, place: Place): Rest<keyof ExplainStmt> => {
  const given = options(statement.options)
  if (given.some(({ name }) => !explainOptions.has(name))) throw new Unclassified('an option of EXPLAIN is not known')
  const runs = given.some(({ name, arg }) => name === 'analyze' && !isOff(arg))
  walk.kind('explain', place)
  walk.node(statement.query, { ...place, top: true, quiet: place.quiet || !runs })
  walk.found.answers = 'rows'
  // What is explained is no cursor.
  if (walk.found.control?.does === 'declare') walk.found.control = undefined
  return { done: ['query'] }
}

export const sessionHandlers: Handlers = {
  VariableSetStmt: set,
  TransactionStmt: transaction,
  PrepareStmt: prepare,
  DeclareCursorStmt: declare,
  ExplainStmt: explain,

  VariableShowStmt: (_, walk, place) => {
    walk.kind('set', place)
    if (place.top) walk.found.answers = 'rows'
    return undefined
  },

  // What it does is what the name means: `mean` knows. Without that it is unknown.
  ExecuteStmt: (statement, walk, place) => {
    walk.kind('unknown', place)
    walk.found.control = { does: 'execute', name: statement.name ?? '', parameters: argumentsOfExecute(walk.source.tokens()) }
    if (place.top) walk.found.answers = 'rows'
    return { at: { ...place, relations: 'read', top: false } }
  },

  FetchStmt: (statement, walk, place) => {
    walk.kind('unknown', place)
    walk.found.control = { does: 'fetch', name: statement.portalname ?? '' }
    walk.found.answers = statement.ismove === true ? 'count' : 'rows'
    return undefined
  },

  ClosePortalStmt: (statement, walk, place) => {
    walk.kind('transaction', place)
    walk.found.control = { does: 'close', ...(statement.portalname === undefined ? {} : { name: statement.portalname }) }
    return undefined
  },

  DeallocateStmt: (statement, walk, place) => {
    walk.kind('transaction', place)
    walk.found.control = { does: 'deallocate', ...(statement.name === undefined ? {} : { name: statement.name }) }
    return undefined
  },

  DiscardStmt: (_, walk, place) => {
    walk.kind('session', place)
    walk.found.control = { does: 'discard' }
    return undefined
  },

  ConstraintsSetStmt: (_, walk, place) => {
    walk.kind('set', place)
    return { done: ['constraints'] }
  },

  ListenStmt: (_, walk, place) => (walk.kind('listen', place), undefined),
  NotifyStmt: (_, walk, place) => (walk.kind('listen', place), undefined),
  UnlistenStmt: (_, walk, place) => (walk.kind('listen', place), undefined),

  LockStmt: (_, walk, place) => {
    walk.kind('lock', place)
    return { at: { ...place, relations: 'read' } }
  },

  CallStmt: (_, walk, place) => {
    walk.kind('call', place)
    walk.found.opaque = 'What a procedure does cannot be analysed'
    walk.found.answers = 'rows'
    return { at: { ...place, top: false } }
  },

  DoStmt: (_, walk, place) => {
    walk.kind('do', place)
    walk.found.opaque = 'DO blocks cannot be analysed'
    return undefined
  },
}
