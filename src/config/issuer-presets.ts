import type { IssuerOptions, Preset } from '../identity/options.ts'
import type { IssuerSource } from './schema.ts'

export interface PresetDefaults {
  readonly kind: IssuerOptions['kind']
  readonly claimPaths: IssuerOptions['claimPaths']
  readonly claims: Readonly<Record<string, string>>
  readonly tokenTypes?: readonly string[]
  /** The issuer, where there is only one. */
  readonly issuer?: string
  readonly required?: IssuerOptions['required']
  /** Of these claims one must be required by its exact value: without it, strangers' tokens would be good here. */
  readonly oneOf?: readonly string[]
}

const person = { email: 'email', emailVerified: 'email_verified', name: 'name' }

export const presetDefaults: Record<Preset, PresetDefaults> = {
  generic: { kind: 'human', tokenTypes: ['at+jwt', 'jwt'], claims: {}, claimPaths: { subject: 'sub', groups: 'groups', clientId: 'client_id', ...person } },
  // Access tokens carry no `typ` there.
  okta: { kind: 'human', claims: {}, claimPaths: { subject: 'sub', groups: 'groups', clientId: 'cid', ...person } },
  // `sub` differs for each client; `oid` is the account.
  entra: { kind: 'human', tokenTypes: ['jwt', 'at+jwt'], claims: {}, claimPaths: { subject: 'oid', groups: 'groups', roles: 'roles', clientId: 'azp', email: 'email', emailVerified: 'xms_edov', name: 'name' } },
  google: { kind: 'human', tokenTypes: ['jwt'], issuer: 'https://accounts.google.com', claims: {}, oneOf: ['hd', 'sub', 'email', 'azp'], claimPaths: { subject: 'sub', clientId: 'azp', ...person } },
  'github-actions': {
    kind: 'workload',
    tokenTypes: ['jwt'],
    issuer: 'https://token.actions.githubusercontent.com',
    claims: { repository: 'repository', repository_id: 'repository_id', ref: 'ref', environment: 'environment', event_name: 'event_name', job_workflow_ref: 'job_workflow_ref', actor: 'actor' },
    // No pull_request: a fork chooses what runs there.
    required: { event_name: { equals: ['push', 'workflow_dispatch', 'schedule', 'release', 'deployment', 'merge_group', 'repository_dispatch'] } },
    oneOf: ['repository_id', 'repository_owner_id', 'enterprise_id'],
    claimPaths: { subject: 'sub', name: 'repository' },
  },
  gitlab: {
    kind: 'workload',
    tokenTypes: ['jwt'],
    claims: { project_path: 'project_path', project_id: 'project_id', ref: 'ref', ref_protected: 'ref_protected', environment: 'environment' },
    oneOf: ['project_id', 'namespace_id'],
    claimPaths: { subject: 'sub', name: 'project_path' },
  },
  kubernetes: {
    kind: 'workload',
    claims: { namespace: '/kubernetes.io/namespace', service_account: '/kubernetes.io/serviceaccount/name', pod: '/kubernetes.io/pod/name' },
    claimPaths: { subject: 'sub', name: 'sub' },
  },
}

const entraClouds = {
  public: { login: 'login.microsoftonline.com', sts: 'sts.windows.net' },
  'us-government': { login: 'login.microsoftonline.us', sts: 'sts.windows.net' },
  china: { login: 'login.partner.microsoftonline.cn', sts: 'sts.chinacloudapi.cn' },
} as const

/** Which token version comes is set at the API, so both issuers of a tenant are its own; the newer first. */
export const entraIssuers = (tenants: readonly string[], cloud: IssuerSource['cloud']): readonly string[] => {
  const { login, sts } = entraClouds[cloud ?? 'public']
  return tenants.flatMap((tenant) => [`https://${login}/${tenant}/v2.0`, `https://${sts}/${tenant}/`])
}

export const entraKeys = (tenants: readonly string[], cloud: IssuerSource['cloud']): string => `https://${entraClouds[cloud ?? 'public'].login}/${tenants.length === 1 ? tenants[0] : 'common'}/discovery/v2.0/keys`
