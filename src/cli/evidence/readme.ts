/** What an auditor reads first. */
export const readme = ({ deployment, from, to, framework }: { readonly deployment: string; readonly from: string; readonly to: string; readonly framework: string }): string => `# Evidence: ${deployment}, ${from} to ${to}

Begin with \`report.html\`: it needs no server, no network and no scripts, and prints. It produces evidence for controls of \`${framework}\`; whether a control is met is for you to say.

## What is here

| | |
|---|---|
| \`report.html\` | what differs from the rule first; counts, people, sample, policies, completeness, controls |
| \`exceptions.ndjson\` | every exception, with its case or record |
| \`population/cases.csv\` \`.ndjson\` | one line for each action that was asked for in this time |
| \`counts.json\` | all figures of the report, and whether they reconcile |
| \`records/\` | the log itself, each replica's lines as they stand, from the start of the replica to the first signature behind the period |
| \`completeness.json\` | each start of each replica, its first and last record and signature |
| \`sample/\` | drawn cases: records, timeline, a signed receipt, the proof of each record |
| \`policies.json\` \`policies/\` | which version of the policies was in force when, and their texts as far as they are kept beside the log |
| \`scope.json\` \`keys.txt\` | what was asked for, and by whose keys it is signed |
| \`manifest.dsse.json\` | the SHA-256 of every file, signed |

Cells of the CSV that a spreadsheet would calculate with have an apostrophe in front.

## Check it

You need the \`countersign\` program and the public keys, as \`countersign audit key\` printed them, from the deployment and **not from this folder**: here \`auditor.keys\`. Compare them with \`keys.txt\`. Nothing below talks to a server.

1. Every file is the one that was signed, and none is missing:
   \`countersign receipt verify manifest.dsse.json --key auditor.keys\`
2. The records are those that were signed, none missing, changed or added:
   \`countersign audit verify records/*.ndjson --key auditor.keys\`
   With signatures that you kept at an earlier time (\`countersign audit checkpoint\`), add \`--checkpoint FILE\`: then a cut end shows as well.
3. A receipt is signed, says nothing contradictory, and is of these records:
   \`countersign receipt verify sample/CASE/receipt.json --key auditor.keys --records sample/CASE/records.ndjson\`
4. One record is in the log, without the rest of it:
   \`countersign audit verify --proof sample/CASE/RECORD.tlog-proof sample/CASE/RECORD.json --key auditor.keys\`
5. The sample is the one that your seed draws: the cases of \`population/cases.ndjson\` whose SHA-256 over the seed, a line feed and \`name\` comes first, held ones and others apart.

## What it does not show

- Actions that did not go through this deployment.
- Records behind the last signature of a replica: about a second of each.
- That somebody read what was on their screen. How sure it is that they decided is said for each vote: a passkey signature is in the receipt; for a login or a chat the deployment vouches.
- Holds that were decided after the end of the period: they are open here.
- Policy texts that are not kept any more; \`policies.json\` names their versions.
`
