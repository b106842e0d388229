"""How a report looks: light and dark, wide and narrow, on paper."""

STYLE = """
:root {
  color-scheme: light dark;
  --ground: #fbfbfa; --card: #ffffff; --ink: #1b1f24; --soft: #5b6570; --line: #dfe3e6;
  --accent: #0b6e99; --tint: #eef5f8; --alert: #8a4b00; --alert-ground: #fff6e6;
  --alert-line: #f0c987;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #14171a; --card: #1c2024; --ink: #e6e9ec; --soft: #9aa5b0; --line: #333a41;
    --accent: #63b8de; --tint: #1d2a31; --alert: #ffcf87; --alert-ground: #2d2414;
    --alert-line: #6b5223;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
}
main { max-width: 1120px; margin: 0 auto; padding: 40px 28px 64px; }
h1 { font-size: 2rem; line-height: 1.2; letter-spacing: -.015em; margin: 0 0 6px; }
h2 { font-size: 1.2rem; margin: 0 0 14px; letter-spacing: -.005em; }
h3 { font-size: 1rem; margin: 0; }
p { margin: 0 0 12px; }
h1, h3, figcaption, dd, li { overflow-wrap: anywhere; }
.lead { color: var(--soft); margin-bottom: 26px; }
section { margin: 38px 0 0; }
.soft, caption, .more { color: var(--soft); font-size: .9rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(196px, 1fr)); gap: 12px;
  margin: 0; }
.facts div { background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px; }
.facts dt { color: var(--soft); font-size: .85rem; }
.facts dd { margin: 2px 0 0; font-size: 1.55rem; font-weight: 600; line-height: 1.2;
  font-variant-numeric: tabular-nums; }
.facts small { font-size: .85rem; font-weight: 400; color: var(--soft); }
.warnings { background: var(--alert-ground); border: 1px solid var(--alert-line);
  border-radius: 10px; padding: 18px 22px 8px; }
.warnings h2 { color: var(--alert); }
.warnings ul { margin: 0 0 10px; padding-left: 20px; }
.warnings li { margin-bottom: 8px; }
.steps { list-style: none; margin: 0; padding: 0; counter-reset: step; }
.steps > li { counter-increment: step; display: grid; grid-template-columns: 34px 1fr;
  padding: 0 0 18px; position: relative; }
.steps > li::before { content: counter(step); width: 24px; height: 24px; border-radius: 50%;
  background: var(--tint); color: var(--accent); font-size: .8rem; font-weight: 600;
  display: grid; place-items: center; }
.steps > li:not(:last-child)::after { content: ""; position: absolute; left: 11.5px; top: 28px;
  bottom: 4px; width: 1px; background: var(--line); }
.steps p { margin: 0 0 4px; color: var(--soft); font-size: .92rem; }
.stage { font-size: .75rem; font-weight: 500; color: var(--accent); margin-left: 8px; }
.values { display: flex; flex-wrap: wrap; gap: 4px 18px; margin: 0; font-size: .92rem; }
.values div { display: flex; gap: 6px; min-width: 0; }
.values dt { color: var(--soft); white-space: nowrap; }
.values dd { margin: 0; font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; border: 1px solid var(--line); border-radius: 10px;
  background: var(--card); margin: 0 0 10px; }
.scroll:focus-visible { outline: 2px solid var(--accent); }
table { border-collapse: collapse; width: 100%; font-size: .9rem;
  font-variant-numeric: tabular-nums; }
caption { text-align: left; padding: 12px 14px 8px; }
th, td { padding: 7px 14px; text-align: left; border-top: 1px solid var(--line);
  vertical-align: baseline; }
thead th { font-size: .82rem; color: var(--soft); font-weight: 600; border-top: 0;
  vertical-align: bottom; overflow-wrap: normal; }
tbody th { font-weight: 500; min-width: 160px; max-width: 320px; overflow-wrap: anywhere; }
td { overflow-wrap: break-word; max-width: 320px; }
.number { text-align: right; white-space: nowrap; }
thead .number { white-space: normal; }
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 500px), 1fr));
  gap: 22px; }
.picture { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  overflow: hidden; display: flex; flex-direction: column; }
.pair { display: grid; grid-template-columns: 1fr 1fr; gap: 2px; background: #111; }
.pair.single { grid-template-columns: 1fr; }
.pair img { width: 100%; height: auto; max-height: 480px; object-fit: contain; display: block;
  align-self: center; }
.pair .small { image-rendering: pixelated; }
figcaption { padding: 12px 16px 14px; font-size: .92rem; }
figcaption p { margin: 4px 0 0; color: var(--soft); }
figcaption .note { color: var(--alert); }
.key { display: inline-flex; align-items: center; margin-right: 14px; white-space: nowrap; }
.key i { width: 11px; height: 11px; border-radius: 3px; margin-right: 6px; }
.charts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr));
  gap: 16px; }
.chart { margin: 0; background: var(--card); border: 1px solid var(--line); border-radius: 10px;
  padding: 14px 16px 10px; }
.chart svg { width: 100%; height: auto; display: block; }
.chart text { fill: var(--soft); font-size: 11px; }
.chart figcaption { padding: 0 0 8px; }
details { margin: 0 0 12px; }
summary { cursor: pointer; color: var(--accent); margin-bottom: 10px; }
code, pre { font: .86rem/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; }
pre { overflow-x: auto; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px; padding: 14px 16px; margin: 0 0 12px; }
footer { margin-top: 44px; padding-top: 16px; border-top: 1px solid var(--line);
  color: var(--soft); font-size: .85rem; }
@media (max-width: 560px) {
  main { padding: 24px 16px 48px; }
  h1 { font-size: 1.55rem; }
  .facts { grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); }
  .facts small { display: block; }
  .facts dd { font-size: 1.25rem; }
  th, td { padding: 6px 10px; }
  .warnings { padding: 14px 16px 4px; }
}
@media print {
  body { background: #fff; }
  main { max-width: none; padding: 0; }
  .picture, .chart, .facts div { break-inside: avoid; }
  .scroll { overflow: visible; }
}
"""
