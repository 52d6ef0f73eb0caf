"""The page's style: two colour schemes from the plots' themes, narrow screens, paper."""

from quincunx.plot import colour_rules

_FONT = 'system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif'

_RULES = """
* { box-sizing: border-box }
html { -webkit-text-size-adjust: 100% }
body { margin: 0; background: var(--surface); color: var(--ink); font: 16px/1.55 FONT }
main, header { max-width: 62rem; margin: 0 auto; padding: 0 1.25rem }
header { padding-top: 2.25rem }
main { padding-bottom: 3rem }
h1 { font-size: 1.9rem; line-height: 1.2; margin: 0 0 .5rem; overflow-wrap: anywhere }
h2 { font-size: 1.25rem; margin: 2.75rem 0 .75rem; padding-top: .9rem; border-top: 1px solid var(--grid) }
h3 { font-size: 1rem; margin: 1.5rem 0 .4rem }
p { margin: .5rem 0; max-width: 46rem; overflow-wrap: anywhere }
a { color: var(--posterior) }
.question { font-size: 1.1rem }
.note, figcaption { color: var(--muted) }

.verdict { display: flex; gap: .6rem; align-items: baseline; flex-wrap: wrap; margin: .9rem 0 }
.chip { display: inline-block; padding: .05rem .55rem; border-radius: 1rem; border: 1.5px solid currentColor }
.chip { font-weight: 600; font-size: .85rem; white-space: nowrap }
.chip.pass { color: var(--good) }
.chip.warn { color: var(--reference) }
.chip.fail { color: var(--bad) }
.chip.unchecked { color: var(--muted) }

nav { font-size: .95rem; margin: .9rem 0 0; line-height: 1.9 }
nav a { margin-right: .9rem; white-space: nowrap }

.warnings { border-left: 4px solid var(--reference); padding: .35rem 0 .35rem 1rem; margin: 1.25rem 0 0 }
.warnings.fail { border-color: var(--bad) }
.warnings.clear { border-color: var(--good) }
.warnings h2 { border: 0; margin: 0; padding: 0; font-size: 1.05rem }
.warnings ul { margin: .35rem 0; padding-left: 1.2rem }
.warnings li { margin: .3rem 0; overflow-wrap: anywhere; max-width: 46rem }

.scroll { overflow-x: auto; margin: .9rem 0 }
.scroll:focus-visible { outline: 2px solid var(--posterior) }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: .95rem }
th, td { padding: .34rem .9rem .34rem 0; text-align: right; vertical-align: top; white-space: nowrap }
th, td { border-bottom: 1px solid var(--grid) }
thead th { color: var(--muted); font-weight: 600; vertical-align: bottom }
th:first-child, td:first-child, .text { text-align: left }
th[scope=row] { font-weight: 600 }
td.wrap { white-space: normal; min-width: 12rem }
th.asked { white-space: normal; min-width: 15rem }
th .note { font-weight: 400; font-size: .9em }
table.facts td { text-align: left; white-space: normal; overflow-wrap: anywhere }
table.facts th { text-align: left; white-space: normal; min-width: 8rem; color: var(--muted); font-weight: 400 }
.pair { display: inline-block; margin-right: 1rem }

figure { margin: 1.4rem 0 }
figure svg, figure img { display: block; width: min(100%, var(--natural)); height: auto }
figure img.ground { background: #fff; border-radius: 6px }
figcaption { font-size: .92rem; margin-top: .4rem; max-width: 46rem; overflow-wrap: anywhere }
pre { padding: .8rem 1rem; border-radius: 6px; overflow-x: auto; font-size: .9rem }
pre { border: 1px solid var(--grid) }
code { font-family: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace }

@media (max-width: 640px) {
  body { font-size: 15px }
  main, header { padding-left: 1rem; padding-right: 1rem }
  header { padding-top: 1.5rem }
  h1 { font-size: 1.5rem }
  th, td { padding-right: .7rem }
  /* A picture squeezed into a telephone cannot be read: it scrolls in its own frame. */
  figure .scroll svg, figure .scroll img { width: max(100%, min(var(--natural), 34rem)); max-width: none }
  /* A table of checks is wider still: each check becomes a short paragraph. */
  table.checks thead { display: none }
  table.checks tr { display: block; padding: .5rem 0; border-bottom: 1px solid var(--grid) }
  table.checks th, table.checks td { display: block; border: 0; padding: .1rem 0; text-align: left; min-width: 0 }
  table.checks td { display: inline-block; margin-right: 1.1rem }
  table.checks td[data-label]::before { content: attr(data-label) " "; color: var(--muted) }
  table.checks td.wrap { display: block }
  table.checks td.wrap:empty { display: none }
}

@media print {
  body { font-size: 10pt }
  main, header { max-width: none; padding: 0 }
  nav { display: none }
  h2 { break-after: avoid }
  figure, tr, .warnings { break-inside: avoid }
  .scroll { overflow: visible }
  pre { white-space: pre-wrap }
}
"""


def stylesheet() -> str:
    """All of the page's CSS. Paper is always light.

    >>> "prefers-color-scheme: dark" in stylesheet() and "@media print" in stylesheet()
    True
    """
    return f":root {{ color-scheme: light dark }}\n{colour_rules()}\n{_RULES.replace('FONT', _FONT).strip()}\n"
