/** The whole of it stands in the page, and by its hash nothing else may. */
export const reportStyle = `
:root { color-scheme: light; --ink: #1b211f; --soft: #55605c; --line: #dce1de; --faint: #f3f5f4; --brand: #17604f; --grave: #a3201f; --grave-back: #fbe9e7; --look: #7a4b00; --look-back: #fdf0d9; --good: #14633f; --good-back: #e2f3e9; }
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; scroll-behavior: smooth; }
body { margin: 0; background: #f5f6f4; color: var(--ink); font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "DejaVu Sans", sans-serif; }
main { max-width: 1080px; margin: 0 auto; padding: 32px clamp(14px, 4vw, 40px) 72px; background: #fff; }
h1 { margin: 2px 0 6px; font-size: clamp(1.5rem, 4vw, 2.1rem); line-height: 1.15; letter-spacing: -.02em; }
h2 { margin: 44px 0 6px; padding-top: 10px; border-top: 2px solid var(--ink); font-size: 1.2rem; letter-spacing: -.01em; }
h3 { margin: 22px 0 4px; font-size: 1rem; }
p { margin: 6px 0; max-width: 76ch; }
small, .soft { color: var(--soft); }
code, pre { font: .85em/1.5 ui-monospace, "SF Mono", "DejaVu Sans Mono", Menlo, Consolas, monospace; overflow-wrap: anywhere; }
pre { margin: 8px 0; padding: 12px 14px; overflow-x: auto; white-space: pre-wrap; background: var(--faint); border: 1px solid var(--line); border-radius: 8px; }
a { color: var(--brand); }
.kicker { margin: 0; color: var(--brand); font-weight: 600; letter-spacing: .01em; }
.lead { font-size: 1.05rem; color: var(--soft); }
nav { display: flex; flex-wrap: wrap; gap: 4px 14px; margin: 18px 0 0; padding: 10px 0; border-block: 1px solid var(--line); font-size: .9rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(148px, 1fr)); gap: 12px; margin: 20px 0; }
.tile { padding: 12px 14px; border: 1px solid var(--line); border-radius: 10px; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.2; letter-spacing: -.02em; font-variant-numeric: tabular-nums; }
.tile.grave { background: var(--grave-back); border-color: var(--grave); color: var(--grave); }
.tile.look { background: var(--look-back); border-color: var(--look); color: var(--look); }
.tile.good { background: var(--good-back); border-color: var(--good); color: var(--good); }
.verdict { margin: 14px 0; padding: 10px 14px; border-left: 4px solid var(--good); background: var(--good-back); border-radius: 0 8px 8px 0; }
.verdict.grave { border-color: var(--grave); background: var(--grave-back); }
.verdict.look { border-color: var(--look); background: var(--look-back); }
.scroll { overflow-x: auto; }
table { width: 100%; margin: 8px 0; border-collapse: collapse; font-size: .9rem; }
th, td { padding: 6px 10px 6px 0; border-bottom: 1px solid var(--line); text-align: left; vertical-align: top; overflow-wrap: anywhere; }
th { font-weight: 600; color: var(--soft); white-space: nowrap; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
td.t { white-space: nowrap; font-variant-numeric: tabular-nums; }
.badge { display: inline-block; padding: 0 8px; border-radius: 99px; background: var(--faint); font-size: .82rem; font-weight: 600; white-space: nowrap; }
.badge.grave { background: var(--grave-back); color: var(--grave); } .badge.look { background: var(--look-back); color: var(--look); } .badge.good { background: var(--good-back); color: var(--good); }
table.three { table-layout: fixed; } table.three td:first-child { width: 11.5rem; } table.three td:nth-child(2) { width: 15rem; }
table.sums td.n { padding-right: 28px; } table.sums td:last-child { width: 9rem; }
figure { margin: 14px 0; }
.stripe { display: block; width: 100%; height: 26px; border-radius: 6px; }
.columns { display: block; width: 100%; height: auto; }
.legend { display: flex; flex-wrap: wrap; gap: 2px 18px; margin: 8px 0 0; padding: 0; list-style: none; font-size: .9rem; }
.dot { display: inline-block; width: 10px; height: 10px; margin-right: 6px; border-radius: 3px; }
.tick { font-size: 11px; fill: var(--soft); } .end { text-anchor: end; } .middle { text-anchor: middle; }
.grid { stroke: var(--line); stroke-width: 1; }
.c-good { fill: #2f8b6b; background: #2f8b6b; } .c-bad { fill: #c2504a; background: #c2504a; } .c-wait { fill: #d9a441; background: #d9a441; } .c-calm { fill: #8b9893; background: #8b9893; } .c-cold { fill: #4b7bab; background: #4b7bab; } .none { fill: var(--line); background: var(--line); }
details { margin: 8px 0; padding: 8px 12px; border: 1px solid var(--line); border-radius: 8px; }
summary { cursor: pointer; font-weight: 600; }
ol.steps { margin: 6px 0; padding-left: 20px; font-size: .9rem; }
footer { margin-top: 44px; padding-top: 12px; border-top: 1px solid var(--line); font-size: .85rem; color: var(--soft); }
@media (max-width: 620px) { table.three td:first-child, table.three td:nth-child(2) { width: auto; } main { padding-top: 20px; } table.stack thead { display: none; } table.stack tr { display: block; padding: 8px 0; border-bottom: 1px solid var(--line); } table.stack td { display: block; padding: 1px 0; border: 0; text-align: left; } table.stack td[data-name]::before { content: attr(data-name) ": "; color: var(--soft); } .tick { font-size: 17px; } }
@page { size: A4; margin: 16mm 14mm; }
@media print { body { background: #fff; font-size: 10.5pt; } main { max-width: none; padding: 0; } nav { display: none; } h2, h3 { break-after: avoid; } tr, figure, .tile, .verdict { break-inside: avoid; } a { color: inherit; text-decoration: none; } * { -webkit-print-color-adjust: exact; print-color-adjust: exact; } details { border: 0; padding: 0; break-inside: avoid; } details::details-content { display: block; block-size: auto; content-visibility: visible; } }
`
