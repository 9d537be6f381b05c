import type { CreateFunctionStmt, Node } from '@pgsql/types'
import type { SqlKind } from '../reading.ts'
import { Unclassified, type Handler, type Handlers, type Place, type Rest, type Walk } from '../walk.ts'
import type { NodeName } from '../shapes/shape.ts'
import { created } from './query.ts'
import { isHardSetting } from '../settings.ts'
import { nameOf, qualified, stringOf } from './spelling.ts'

/** Everything that defines, changes or removes objects and rights, by what it is. */
const kinds = {
  ddl: `CreateSchemaStmt AlterTableStmt AlterCollationStmt AlterDomainStmt CreateTrigStmt CreateEventTrigStmt AlterEventTrigStmt CreateSeqStmt AlterSeqStmt
    DefineStmt CreateDomainStmt CreateOpClassStmt CreateOpFamilyStmt AlterOpFamilyStmt DropStmt CommentStmt IndexStmt CreateStatsStmt AlterStatsStmt CreateFunctionStmt
    AlterFunctionStmt RenameStmt AlterObjectDependsStmt AlterObjectSchemaStmt AlterOperatorStmt AlterTypeStmt RuleStmt CompositeTypeStmt CreateEnumStmt CreateRangeStmt
    AlterEnumStmt ViewStmt ClusterStmt VacuumStmt CreateTableAsStmt RefreshMatViewStmt ReindexStmt CreateConversionStmt CreateCastStmt CreateTransformStmt
    AlterTSDictionaryStmt AlterTSConfigurationStmt CreateStmt`,
  'grant ddl': 'DropOwnedStmt ReassignOwnedStmt AlterOwnerStmt CreatePolicyStmt AlterPolicyStmt SecLabelStmt',
  grant: 'GrantStmt GrantRoleStmt AlterDefaultPrivilegesStmt CreateRoleStmt AlterRoleStmt DropRoleStmt',
  'session ddl': 'AlterRoleSetStmt AlterDatabaseSetStmt',
  server: 'AlterSystemStmt LoadStmt CheckPointStmt',
  'server ddl': `CreateExtensionStmt AlterExtensionStmt AlterExtensionContentsStmt CreateTableSpaceStmt DropTableSpaceStmt AlterTableSpaceOptionsStmt AlterTableMoveAllStmt
    CreatedbStmt DropdbStmt AlterDatabaseStmt AlterDatabaseRefreshCollStmt CreateFdwStmt AlterFdwStmt CreateForeignServerStmt AlterForeignServerStmt CreateForeignTableStmt
    ImportForeignSchemaStmt CreateUserMappingStmt AlterUserMappingStmt DropUserMappingStmt CreatePLangStmt CreateAmStmt
    CreatePublicationStmt AlterPublicationStmt CreateSubscriptionStmt AlterSubscriptionStmt DropSubscriptionStmt`,
}

const relationTypes: ReadonlySet<string> = new Set(['OBJECT_TABLE', 'OBJECT_VIEW', 'OBJECT_MATVIEW', 'OBJECT_FOREIGN_TABLE', 'OBJECT_SEQUENCE', 'OBJECT_INDEX'])

/** Objects that hang on a relation: their name is its name and one more part. */
const attached: ReadonlySet<string> = new Set(['OBJECT_COLUMN', 'OBJECT_TRIGGER', 'OBJECT_RULE', 'OBJECT_POLICY', 'OBJECT_TABCONSTRAINT'])

/** The relation that the name of an object leads to, if it is one or hangs on one. */
const objectRelation = (node: Node | undefined, objectType: string | undefined, walk: Walk): string | undefined => {
  if (node === undefined || objectType === undefined || !('List' in node)) return undefined
  const parts = nameOf(node.List.items)
  const relation = relationTypes.has(objectType) ? parts : attached.has(objectType) ? parts.slice(0, -1) : []
  if (relation.length === 0) return undefined
  walk.found.relation({ ...qualified(relation), access: 'write', defined: true })
  return relation.at(-1)
}

/** A language that can do more than SQL can. */
const isTrusted = (language: string | undefined): boolean => language === undefined || ['sql', 'plpgsql'].includes(language.toLowerCase())

const functionBody = (statement: CreateFunctionStmt, walk: Walk, place: Place): Rest<keyof CreateFunctionStmt> => {
  walk.found.opaque = 'What a function does cannot be analysed'
  for (const option of statement.options ?? []) {
    if ('DefElem' in option && option.DefElem.defname === 'language' && !isTrusted(stringOf(option.DefElem.arg))) walk.kind('server', place)
  }
  return { at: { ...place, relations: 'defined', top: false, quiet: true } }
}

const later = (_: unknown, __: Walk, place: Place): { readonly at: Place } => ({ at: { ...place, relations: 'defined', top: false, quiet: true } })

/** The function of a trigger runs with statements that do not name it. */
const runsLater = ({ funcname }: { readonly funcname?: Node[] }, walk: Walk): undefined => void walk.found.function(qualified(nameOf(funcname)))

/** Nothing in a statement says that a cast is there, let alone what it runs. */
const runsUnseen = (what: string) => (_: unknown, walk: Walk): undefined => void (walk.found.forbidden = `${what} runs functions in statements that do not name them`)

/** What a definition needs beside its kind. */
const special: Handlers = {
  CreateFunctionStmt: functionBody,
  ViewStmt: (statement, walk, place) => {
    created(statement.view, walk, place)
    return { ...later(statement, walk, place), done: ['view'] }
  },
  RuleStmt: later,
  CreateTrigStmt: runsLater,
  CreateEventTrigStmt: runsLater,
  CreateCastStmt: (statement, walk) => (statement.func === undefined && statement.inout !== true ? undefined : runsUnseen('a cast that computes')(statement, walk)),
  CreateTransformStmt: runsUnseen('a transform'),
  CreateConversionStmt: runsUnseen('a conversion of encodings'),
  CreateStmt: (statement, walk, place) => {
    created(statement.relation, walk, place)
    return { done: ['relation'] }
  },
  CreateSeqStmt: (statement, walk, place) => {
    created(statement.sequence, walk, place)
    return { done: ['sequence'] }
  },
  CreateTableAsStmt: (statement, walk, place) => {
    created(statement.into?.rel, walk, place)
    if (place.top) walk.found.answers = 'count'
    return { at: { ...place, relations: 'read', top: false } }
  },
  AlterTableStmt: (statement, walk, place) => {
    for (const command of statement.cmds ?? []) {
      const subtype = 'AlterTableCmd' in command ? (command.AlterTableCmd.subtype ?? '') : ''
      if (/Owner|RowSecurity/.test(subtype)) walk.kind('grant', place)
    }
    return undefined
  },
  DropStmt: (statement, walk, place) => {
    const names = (statement.objects ?? []).flatMap((object) => objectRelation(object, statement.removeType, walk) ?? [])
    if (!place.quiet && names.length > 0 && relationTypes.has(statement.removeType ?? '')) walk.found.control = { does: 'drop', names }
    return undefined
  },
  CommentStmt: (statement, walk) => {
    objectRelation(statement.object, statement.objtype, walk)
    return undefined
  },
  SecLabelStmt: (statement, walk) => {
    objectRelation(statement.object, statement.objtype, walk)
    return undefined
  },
  RenameStmt: (statement, walk) => {
    objectRelation(statement.object, statement.renameType, walk)
    return undefined
  },
  AlterRoleSetStmt: (statement, walk) => {
    if (isHardSetting(statement.setstmt?.name ?? '')) walk.found.forbid('it changes how every later statement of a role is read')
    return { done: ['setstmt'] }
  },
  AlterDatabaseSetStmt: (statement, walk) => {
    if (isHardSetting(statement.setstmt?.name ?? '')) walk.found.forbid('it changes how every later statement in a database is read')
    return { done: ['setstmt'] }
  },
  AlterSystemStmt: (statement, walk) => {
    if (isHardSetting(statement.setstmt?.name ?? '')) walk.found.forbid('it changes how every later statement is read')
    return { done: ['setstmt'] }
  },
}

const definition = (name: string, own: readonly SqlKind[]): Handler<NodeName> => (node, walk, place) => {
  for (const kind of own) walk.kind(kind, place)
  const extra = (special as Readonly<Record<string, Handler<NodeName> | undefined>>)[name]
  return { at: { ...place, relations: 'defined', top: false }, ...extra?.(node, walk, place) }
}

export const definitionHandlers: Handlers = Object.fromEntries(
  Object.entries(kinds).flatMap(([own, names]) => names.split(/\s+/).map((name) => [name, definition(name, own.split(' ') as SqlKind[])])),
)

/** Definitions inside of a function body that no kind covers. */
export const bodyHandlers: Handlers = {
  ReturnStmt: (_, __, place) => {
    if (!place.quiet) throw new Unclassified('a RETURN outside of a function')
    return undefined
  },
}
