import type { FuncCall, Node } from '@pgsql/types'
import type { FunctionRef } from '../reading.ts'
import { isHardSetting, settingKind } from '../settings.ts'
import type { Handlers, Walk } from '../walk.ts'
import { columnOf, equality, literalOf, nameOf, operator, plainColumns, qualified, stringOf, type } from './spelling.ts'

/** An argument of `set_config`, by its place or by its name. */
const argumentOf = (args: readonly Node[], place: number, name: string): Node | undefined => {
  const named = args.flatMap((arg) => ('NamedArgExpr' in arg && arg.NamedArgExpr.name === name ? [arg.NamedArgExpr.arg] : []))
  return named[0] ?? args[place]
}

const setConfig = (ref: FunctionRef, args: readonly Node[], walk: Walk): void => {
  const setting = literalOf(argumentOf(args, 0, 'setting_name'))
  if (setting === undefined) walk.found.forbid('set_config with a name that is not written out could change how every later statement is read')
  else if (isHardSetting(setting)) walk.found.forbid(`set_config of ${setting.toLowerCase()} changes how every later statement is read`)
  const harmless = setting !== undefined && settingKind(setting, literalOf(argumentOf(args, 1, 'new_value'))).kind === 'set'
  walk.found.function(harmless ? { ...ref, harmless } : ref)
}

const functionCall = (call: FuncCall, walk: Walk): undefined => {
  const ref = qualified(nameOf(call.funcname))
  if (ref.name === 'set_config') setConfig(ref, call.args ?? [], walk)
  else walk.found.function(ref)
}

const jsonQueries: Readonly<Record<string, string | undefined>> = { JSON_VALUE_OP: 'json_value', JSON_QUERY_OP: 'json_query', JSON_EXISTS_OP: 'json_exists' }

/** Words of the grammar that an older server takes for the name of somebody's function. */
const word = (name: string) => (_: unknown, walk: Walk): undefined => {
  walk.found.function({ name })
}

export const expressionHandlers: Handlers = {
  JsonFuncExpr: (expression, walk) => word(jsonQueries[expression.op ?? ''] ?? 'json_query')(expression, walk),
  JsonParseExpr: word('json'),
  JsonScalarExpr: word('json_scalar'),
  JsonSerializeExpr: word('json_serialize'),
  JsonTable: word('json_table'),
  JsonObjectConstructor: word('json_object'),
  JsonArrayConstructor: word('json_array'),
  JsonArrayQueryConstructor: word('json_array'),
  JsonObjectAgg: word('json_objectagg'),
  JsonArrayAgg: word('json_arrayagg'),
  MergeSupportFunc: word('merge_action'),

  FuncCall: (call, walk) => functionCall(call, walk),

  A_Expr: (expression, walk) => {
    operator(expression.name, walk, expression.kind)
    return { done: ['name'] }
  },

  SubLink: (link, walk) => {
    if (link.operName === undefined && link.testexpr !== undefined) equality(walk)
    operator(link.operName, walk)
    return { done: ['operName'] }
  },

  SortBy: (sort, walk) => {
    operator(sort.useOp, walk)
    return { done: ['useOp'] }
  },

  CaseExpr: (choice, walk) => {
    if (choice.arg !== undefined) equality(walk)
    return undefined
  },

  ColumnRef: (ref, walk) => {
    walk.found.column(columnOf(ref.fields ?? []))
    return { done: ['fields'] }
  },

  A_Indirection: (indirection, walk) => {
    for (const step of indirection.indirection ?? []) {
      const name = 'A_Star' in step ? '*' : stringOf(step)
      if (name !== undefined) walk.found.column({ qualifier: '', name })
    }
    return undefined
  },

  ParamRef: (parameter, walk) => {
    walk.found.parameters = Math.max(walk.found.parameters, parameter.number ?? 0)
    return undefined
  },

  JoinExpr: (join, walk) => {
    plainColumns(join.usingClause, walk)
    if (join.isNatural === true || join.usingClause !== undefined) equality(walk)
    if (join.isNatural === true) walk.found.column({ name: '*' })
    return undefined
  },

  RangeTableSample: (sample, walk) => {
    walk.found.function(qualified(nameOf(sample.method)))
    return undefined
  },

  TypeCast: (cast, walk) => {
    type(cast.typeName, walk)
    return undefined
  },
  XmlSerialize: (node, walk) => {
    type(node.typeName, walk)
    return undefined
  },
  JsonOutput: (output, walk) => {
    type(output.typeName, walk)
    return undefined
  },
  JsonTableColumn: (column, walk) => {
    type(column.typeName, walk)
    return undefined
  },
  // In a definition it is a type to be, and nothing is cast to it.
  ColumnDef: (column, walk, place) => {
    if (place.relations === 'read') type(column.typeName, walk)
    return undefined
  },
  RangeTableFuncCol: (column, walk) => {
    type(column.typeName, walk)
    return undefined
  },
}
