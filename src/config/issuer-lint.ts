import type { IssuerOptions } from '../identity/options.ts'
import type { Path } from '../lib/yaml-source.ts'
import type { Checks } from './checks.ts'
import { presetDefaults } from './issuer-presets.ts'
import type { IssuerSource } from './schema.ts'

const kubernetesDefaults = /^(?:https:\/\/)?kubernetes(?:\.default(?:\.svc(?:\.[a-z0-9.-]+)?)?)?$/

/** Mistakes that load and then let in the wrong people. */
export const lintIssuer = (source: IssuerSource, options: IssuerOptions, path: Path, { report }: Pick<Checks, 'report'>): void => {
  const { preset } = options
  for (const [index, audience] of options.audiences.entries()) {
    const at = [...path, 'audiences', index]
    if (/[*?]/.test(audience)) report(at, 'an audience is compared exactly; it cannot be a pattern')
    if (options.issuers.includes(audience) && preset !== 'okta') report(at, "is the issuer's own audience, which every token from there carries; use one of your own")
    if (preset === 'kubernetes' && (kubernetesDefaults.test(audience) || audience === 'api')) report(at, 'is the default audience of the cluster, which every pod token carries; project a token with an audience of your own')
  }
  lintSubject(source, preset, path, report)
  lintRequired(source, preset, path, report)
  if (preset === 'okta') lintOkta(source, path, report)
}

const lintSubject = (source: IssuerSource, preset: IssuerOptions['preset'], path: Path, report: Checks['report']): void => {
  const rule = source.required['sub']
  if (preset !== 'github-actions' && preset !== 'gitlab') return
  const isGlob = typeof rule === 'object' && !Array.isArray(rule)
  const values = rule === undefined || isGlob ? [] : [rule].flat()
  const instead = preset === 'github-actions' ? 'repository_id, repository_owner_id, ref, environment or job_workflow_ref' : 'project_id, namespace_id, ref_protected or environment'
  if (isGlob || values.some((value) => /[*?]|[:/]$/.test(String(value)))) report([...path, 'required', 'sub'], `a pattern or prefix on "sub" takes in names that others can register; require ${instead}`)
}

const lintRequired = (source: IssuerSource, preset: IssuerOptions['preset'], path: Path, report: Checks['report']): void => {
  const { oneOf } = presetDefaults[preset]
  const mustBeText = preset === 'github-actions' || preset === 'gitlab'
  for (const [claim, rule] of Object.entries(source.required)) {
    const values = typeof rule === 'object' && !Array.isArray(rule) ? [] : [rule].flat()
    if (mustBeText && values.some((value) => typeof value !== 'string')) report([...path, 'required', claim], 'tokens carry this as text: put it in quotes')
  }
  if (oneOf === undefined) return
  const isExact = (claim: string): boolean => {
    const rule = source.required[claim]
    return rule !== undefined && (typeof rule !== 'object' || Array.isArray(rule))
  }
  if (oneOf.some(isExact) || (preset === 'google' && (source['hosted-domains']?.length ?? 0) > 0)) return
  const what = preset === 'google' ? 'Google account: set hosted-domains' : preset === 'gitlab' ? 'project there' : 'repository there'
  report([...path, 'required'], `would accept any ${what}; require an exact ${oneOf.join(', ')}`, { on: 'key' })
}

const lintOkta = (source: IssuerSource, path: Path, report: Checks['report']): void => {
  const { issuer } = source
  if (issuer === undefined) return
  if (issuer.endsWith('/')) report([...path, 'issuer'], 'ends with a slash, and Okta issuers do not')
  if (/^https:\/\/[^/]*-admin\.okta/.test(issuer)) report([...path, 'issuer'], 'is the address of the admin console, not the issuer')
}
