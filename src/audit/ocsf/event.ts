import type { RecordData } from '../record-data.ts'

/* The part of OCSF 1.8.0 that our records are told in. Numbers and names are the standard's. */

export const ocsfVersion = '1.8.0'

export interface Metadata {
  readonly version: typeof ocsfVersion
  readonly product: { readonly name: string; readonly vendor_name: string }
  readonly profiles?: readonly ['security_control']
  /** `{replica}/{epoch}/{seq}`: the same record has the same one wherever it arrives, however often. */
  readonly uid?: string
  readonly sequence?: number
  /** `{replica}/{epoch}`: the log that `sequence` counts in. */
  readonly log_name?: string
  /** Hold, or else try: what the records of one action have in common. */
  readonly correlation_uid?: string
  /** Type of the record. */
  readonly event_code: string
  readonly original_time?: string
}

export interface User {
  readonly uid?: string
  readonly name?: string
  readonly email_addr?: string
  /** 1 a person, 4 a program, 0 not known. */
  readonly type_id: 0 | 1 | 4
  readonly domain?: string
  readonly groups?: readonly { readonly name: string }[]
}

export interface Session {
  readonly uid: string
  readonly issuer?: string
}

/** `user` is for whom it was done; where an agent acts for somebody, `app_uid` and `app_name` are the agent. */
export interface Actor {
  readonly user: User
  readonly app_uid?: string
  readonly app_name?: string
  readonly session?: Session
}

export interface Endpoint {
  readonly ip?: string
  readonly name?: string
  readonly svc_name?: string
}

export interface Resource {
  readonly name: string
  readonly type: string
  readonly labels?: readonly string[]
}

export interface Entity {
  readonly type: string
  readonly uid?: string
  readonly name?: string
  readonly version?: string
}

export interface Policy {
  readonly name: string
  readonly uid: string
  readonly version?: string
  readonly desc?: string
}

/** Profile `security_control`. Actions: 1 allowed, 2 denied, 3 observed, 4 modified. Dispositions: 1 allowed, 2 blocked, 8 approved, 14 delayed, 19 alert, 25 rejected. */
export interface Control {
  readonly action_id: 1 | 2 | 3 | 4
  readonly disposition_id: 1 | 2 | 8 | 14 | 19 | 25
  readonly policy?: Policy
}

/** 1 informational, 2 low, 3 medium, 4 high, 5 critical. */
export type Severity = 1 | 2 | 3 | 4 | 5

export interface Status {
  /** 0 not known, 1 success, 2 failure. */
  readonly status_id?: 0 | 1 | 2
  readonly status_code?: string
  readonly status_detail?: string
}

interface Head<Class extends number, Category extends number> extends Partial<Control>, Status {
  readonly class_uid: Class
  readonly category_uid: Category
  readonly activity_id: number
  readonly activity_name?: string
  readonly type_uid: number
  readonly severity_id: Severity
  /** Milliseconds. */
  readonly time: number
  readonly message: string
  readonly duration?: number
  readonly count?: number
  readonly metadata: Metadata
  /** The whole record, as it stands in the log. */
  readonly unmapped: { readonly countersign: RecordData }
}

/** What this version knows no type of: a line that is damaged, or one that a later version wrote. */
export type BaseEvent = Head<0, 0>

export interface ApiActivity extends Head<6003, 6> {
  readonly actor: Actor
  readonly api: { readonly operation: string; readonly service?: { readonly name: string } }
  readonly src_endpoint: Endpoint
  readonly dst_endpoint?: Endpoint
  readonly resources?: readonly Resource[]
}

export interface DatastoreActivity extends Head<6005, 6> {
  readonly actor: Actor
  readonly src_endpoint: Endpoint
  readonly dst_endpoint?: Endpoint
  /** 1: relational. */
  readonly database: { readonly name: string; readonly type_id: 1 }
  readonly table?: { readonly name: string }
  /** The statement without its values. */
  readonly query_info?: { readonly query_string: string }
}

export interface Authentication extends Head<3002, 3> {
  readonly user: User
  readonly service: { readonly name: string }
  readonly session?: Session
  readonly src_endpoint?: Endpoint
}

export interface EntityManagement extends Head<3004, 3> {
  readonly entity: Entity
  readonly actor?: Actor
  readonly comment?: string
}

export interface UserAccess extends Head<3005, 3> {
  readonly user: User
  readonly privileges: readonly string[]
  readonly resources?: readonly Resource[]
}

export interface ApplicationLifecycle extends Head<6002, 6> {
  readonly app: { readonly name: string; readonly vendor_name: string; readonly version?: string }
}

export type OcsfEvent = BaseEvent | ApiActivity | DatastoreActivity | Authentication | EntityManagement | UserAccess | ApplicationLifecycle
