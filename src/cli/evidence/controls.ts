/* For which controls the parts of a pack are evidence. The words for what a control is about are our own; the standard's own text decides. */

export const frameworks = ['soc2', 'iso27001', 'pci', 'nist'] as const
export type Framework = (typeof frameworks)[number]

/** Parts of the report, by their anchors. */
export const sections = { exceptions: 'Exceptions', counts: 'Counts', people: 'Who decided', sample: 'Sample', policies: 'Policies', completeness: 'Completeness', population: 'Population' } as const
export type Section = keyof typeof sections

export interface Control {
  readonly id: string
  readonly about: string
  readonly sections: readonly Section[]
  /** What it shows, and where it ends. */
  readonly shows: string
}

export const frameworkNames: Readonly<Record<Framework, string>> = {
  soc2: 'SOC 2, Trust Services Criteria',
  iso27001: 'ISO/IEC 27001:2022, Annex A',
  pci: 'PCI DSS v4.0.1',
  nist: 'NIST SP 800-53 Rev. 5',
}

const asked = 'Each action that a rule holds is in the population with who asked, who agreed, and what ran. That somebody approved their own, or tried to, would be an exception.'
const logged = 'Each action through the proxy is a record that was written before it ran, with account, time, what, on what, and how it ended.'
const whole = 'Signatures over every record, recomputed; what is not covered is named.'
const least = 'Which rules let through, held and denied what, by version; programs act under accounts of their own with a person who answers for each.'
const looked = 'What differs from the rule is listed first: emergencies and their reviews, refused votes, unknown ends, changes of the log.'
const changes = 'Changes of policies and configuration, with their times and versions.'

export const controls: Readonly<Record<Framework, readonly Control[]>> = {
  soc2: [
    { id: 'CC6.1', about: 'Logical access to protected information', sections: ['population', 'policies'], shows: least },
    { id: 'CC6.3', about: 'Access by role, least privilege, separation of duties', sections: ['people', 'sample', 'exceptions'], shows: asked },
    { id: 'CC7.2', about: 'Watching for what is unusual', sections: ['exceptions', 'counts'], shows: looked },
    { id: 'CC7.3', about: 'Judging and following up security events', sections: ['exceptions'], shows: 'Emergency releases, with the review that somebody else owes and whether it came in time.' },
    { id: 'CC8.1', about: 'Changes are authorised, and on record', sections: ['sample', 'policies', 'completeness'], shows: `${asked} ${changes}` },
  ],
  iso27001: [
    { id: 'A.5.3', about: 'Duties that conflict are separate', sections: ['people', 'exceptions', 'sample'], shows: asked },
    { id: 'A.5.15', about: 'Rules for access', sections: ['policies', 'population'], shows: least },
    { id: 'A.5.28', about: 'Evidence that can be collected and kept', sections: ['completeness', 'sample'], shows: whole },
    { id: 'A.8.2', about: 'Privileged access', sections: ['sample', 'people'], shows: asked },
    { id: 'A.8.15', about: 'Logs are made, protected and analysed', sections: ['completeness', 'counts'], shows: `${logged} ${whole}` },
    { id: 'A.8.16', about: 'Monitoring of activities', sections: ['exceptions', 'counts'], shows: looked },
    { id: 'A.8.32', about: 'Changes are managed', sections: ['sample', 'policies'], shows: `${asked} ${changes}` },
  ],
  pci: [
    { id: '7.2.6', about: 'Queries against stored cardholder data by roles that may', sections: ['population', 'policies'], shows: least },
    { id: '8.6.1', about: 'Interactive use of system and application accounts is exceptional, approved and attributable', sections: ['sample', 'people', 'exceptions'], shows: asked },
    { id: '10.2', about: 'Audit logs of access and administrative actions', sections: ['population', 'counts'], shows: logged },
    { id: '10.3', about: 'Audit logs are protected from change', sections: ['completeness'], shows: whole },
    { id: '10.4', about: 'Audit logs are reviewed for anomalies', sections: ['exceptions'], shows: looked },
    { id: '10.5.1', about: 'Audit logs are retained and available', sections: ['completeness'], shows: 'From when to when records are there, for each start of each replica. How long they are kept elsewhere is not seen here.' },
  ],
  nist: [
    { id: 'AC-3', about: 'Access enforcement', sections: ['policies', 'population'], shows: least },
    { id: 'AC-5', about: 'Separation of duties', sections: ['people', 'exceptions', 'sample'], shows: asked },
    { id: 'AC-6', about: 'Least privilege', sections: ['policies', 'population'], shows: least },
    { id: 'AU-2, AU-3, AU-12', about: 'Which events are recorded, with what', sections: ['population', 'counts'], shows: logged },
    { id: 'AU-6', about: 'Review and analysis of records', sections: ['exceptions', 'counts'], shows: looked },
    { id: 'AU-9', about: 'Protection of audit information', sections: ['completeness'], shows: whole },
    { id: 'AU-10', about: 'Non-repudiation', sections: ['sample', 'people'], shows: 'Receipts of the sample. How sure it is that a person decided is said for each vote: passkey signatures are in the receipt, logins and chats are vouched for by this deployment.' },
    { id: 'CM-3, CM-5', about: 'Control of changes and of who makes them', sections: ['sample', 'policies'], shows: `${asked} ${changes}` },
    { id: 'SI-4, SI-7', about: 'Monitoring, and integrity of information', sections: ['exceptions', 'completeness'], shows: `${looked} ${whole}` },
  ],
}
