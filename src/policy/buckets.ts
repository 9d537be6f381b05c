import type { Caller } from '../model/caller.ts'
import { isAboutCaller, meetsVerbs, passes, type CompiledRule } from './compiled-rule.ts'
import { pathsOf, type Matcher, type Question } from './matchers.ts'
import { foldCase } from './path-views.ts'

/** Rules that the verbs of an action can meet, by the first segment of the path, folded. */
export interface Bucket {
  readonly all: readonly CompiledRule[]
  readonly byFirst: ReadonlyMap<string, readonly CompiledRule[]>
  /** For a first segment that no rule names. */
  readonly elsewhere: readonly CompiledRule[]
  /** Those that look at how many rows, each with its lines that are not about the caller. */
  readonly counting: readonly (readonly Matcher[])[]
  /** Of `all`, those whose lines about the caller fit: callers are final, and a session asks many times. */
  readonly byCaller: WeakMap<Caller, readonly CompiledRule[]>
}

const MAX_BUCKETS = 256

/** Each is made once, when its verbs are first asked for. */
export const makeBuckets = (rules: readonly CompiledRule[]): ((verbs: readonly string[]) => Bucket) => {
  const buckets = new Map<string, Bucket>()
  return (verbs) => {
    const name = verbs.length === 1 ? (verbs[0] as string) : verbs.join(' ')
    const known = buckets.get(name)
    if (known !== undefined) return known
    const made = makeBucket(rules, verbs)
    if (buckets.size < MAX_BUCKETS) buckets.set(name, made)
    return made
  }
}

/** An ordinary path has one reading, and its first segment says which rules can match. Any other meets all of them. */
export const candidates = (bucket: Bucket, question: Question): readonly CompiledRule[] => {
  if (bucket.byFirst.size === 0) return rulesFor(bucket, question)
  const paths = pathsOf(question)
  if (paths.length !== 1) return bucket.all
  const [views] = paths
  if (views === undefined || views.all.length !== 1) return bucket.all
  return bucket.byFirst.get(foldCase(views.plain[1] ?? '')) ?? bucket.elsewhere
}

const rulesFor = ({ all, byCaller }: Bucket, question: Question): readonly CompiledRule[] => {
  const known = byCaller.get(question.caller)
  if (known !== undefined) return known
  const found = all.filter(({ matchers }) => passes(matchers.filter(isAboutCaller), question))
  byCaller.set(question.caller, found)
  return found
}

const makeBucket = (rules: readonly CompiledRule[], verbs: readonly string[]): Bucket => {
  const all = rules.filter((rule) => meetsVerbs(rule, verbs))
  const firsts = (rule: CompiledRule): readonly string[] | undefined => rule.paths.find((path) => path.firsts !== undefined)?.firsts
  const names = new Set(all.flatMap((rule) => firsts(rule) ?? []))
  const byFirst = new Map([...names].map((name) => [name, all.filter((rule) => firsts(rule)?.includes(name) ?? true)] as const))
  const counting = all.filter((rule) => rule.needsEstimate).map(({ matchers }) => matchers.filter((matcher) => !isAboutCaller(matcher)))
  return { all, byFirst, elsewhere: all.filter((rule) => firsts(rule) === undefined), counting, byCaller: new WeakMap() }
}
