import { defined } from '../../lib/defined.ts'
import type { LineageNode } from './node.ts'
import type { Trace, TraceQuestion, TraceSearch } from './trace.ts'

/** From one node to the next, by the deed that has both. */
export interface PathStep {
  readonly from: LineageNode
  readonly to: LineageNode
  readonly action: LineageNode
  readonly who: LineageNode
  /** Records that say so. */
  readonly records: readonly string[]
}

export interface LineagePath {
  /** Empty: they are not connected, as far as was looked. */
  readonly steps: readonly PathStep[]
  /** `cut`: there was more than is looked at. */
  readonly looked: 'all' | 'cut'
}

const mostRounds = 4
const mostTracesARound = 2_000
const mostFrontier = 300

/** The shortest way between two places of the map: through as few deeds as can be. */
export const pathBetween = async (search: TraceSearch, start: readonly LineageNode[], end: readonly LineageNode[], { from: since, to: before }: Pick<TraceQuestion, 'from' | 'to'>): Promise<LineagePath> => {
  const goals = new Set(end.map(({ id }) => id))
  const cameBy = new Map<string, { readonly node: LineageNode; readonly from: LineageNode; readonly trace: Trace } | undefined>(start.map(({ id }) => [id, undefined]))
  let frontier = [...start]
  let looked: LineagePath['looked'] = 'all'
  for (let round = 0; round < mostRounds && frontier.length > 0; round++) {
    if (frontier.length > mostFrontier) looked = 'cut'
    const reached = new Map(frontier.slice(0, mostFrontier).map((node) => [node.id, node]))
    const { traces, counted } = await search.traces({ fields: {}, nodes: [...reached.keys()], ...defined({ from: since, to: before }) }, mostTracesARound)
    if (counted === 'more') looked = 'cut'
    frontier = []
    for (const trace of traces) {
      const nodes = nodesOf(trace)
      const from = nodes.find(({ id }) => reached.has(id))
      if (from === undefined) continue
      for (const node of nodes) {
        if (cameBy.has(node.id)) continue
        cameBy.set(node.id, { node, from, trace })
        if (goals.has(node.id)) return { steps: backFrom(node.id, cameBy), looked }
        frontier.push(node)
      }
    }
  }
  return { steps: [], looked: frontier.length > 0 ? 'cut' : looked }
}

/** An action is called by what it touches: whoever asks for that means the data. */
const nodesOf = ({ who, chain, session, action, touches, by }: Trace): readonly LineageNode[] => [who, ...chain, ...(session === undefined ? [] : [session]), ...touches.map(({ node }) => node), ...by, action]

const backFrom = (id: string, cameBy: ReadonlyMap<string, { readonly node: LineageNode; readonly from: LineageNode; readonly trace: Trace } | undefined>): readonly PathStep[] => {
  const steps: PathStep[] = []
  for (let at = cameBy.get(id); at !== undefined; at = cameBy.get(at.from.id)) {
    const { node, from, trace } = at
    steps.unshift({ from, to: node, action: trace.action, who: trace.who, records: [...new Set([trace.last.id, trace.first.id])] })
  }
  return steps
}
