/**
 * Colours by purpose, light and dark. Text has a contrast of 4.5 to 1 and more on its background, marks one of 3 to 1.
 * The parts of a boot are told apart by their names too, never by colour alone.
 */
const colours: Readonly<Record<string, readonly [light: string, dark: string]>> = {
  page: ['#ffffff', '#14171c'],
  raised: ['#f5f6f8', '#1d2128'],
  text: ['#1a1d23', '#e8eaee'],
  muted: ['#555c68', '#a9b0bc'],
  line: ['#d5d9e0', '#363c47'],
  link: ['#0b57b8', '#8ab8ff'],
  good: ['#1d6b34', '#6ed48b'],
  bad: ['#b3261e', '#ff9a90'],
  // Before and after: everything at runtime, and with an image.
  runtime: ['#b5530a', '#f0a35e'],
  image: ['#1763b6', '#74b0f5'],
  // On the colours of parts.
  on: ['#ffffff', '#14171c'],
  firmware: ['#6a717d', '#9aa2af'],
  kernel: ['#6a4fb3', '#b59cf0'],
  initrd: ['#8a3f9e', '#d99ae8'],
  systemd: ['#0b7568', '#4fc4b4'],
  'cloud-init': ['#1763b6', '#74b0f5'],
  agent: ['#a8326b', '#f08ab5'],
  step: ['#b5530a', '#f0a35e'],
  gap: ['#7d7360', '#b8ab90'],
}

const declarations = (index: 0 | 1) =>
  Object.entries(colours)
    .map(([name, pair]) => `--${name}:${pair[index]}`)
    .join(';')

const swatches = Object.keys(colours)
  .map((name) => `.c-${name}{background:var(--${name})}`)
  .join('')

const dark = `color-scheme:dark;${declarations(1)}`

/** The page's only style sheet. */
export const styleSheet = `
:root{color-scheme:light;${declarations(0)}}
@media (prefers-color-scheme:dark){:root:not([data-theme=light]){${dark}}}
:root[data-theme=dark]{${dark}}
*{box-sizing:border-box}
html{scroll-behavior:smooth}
@media (prefers-reduced-motion:reduce){html{scroll-behavior:auto}}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,-apple-system,'Segoe UI',Roboto,'DejaVu Sans',sans-serif}
main,header,footer,nav>ul{max-width:62rem;margin:0 auto;padding:0 1rem}
h1{font-size:1.8rem;line-height:1.2;margin:0}
h2{font-size:1.35rem;line-height:1.25;margin:0 0 .25rem}
h3{font-size:1.05rem;margin:1.5rem 0 .25rem}
p{margin:.25rem 0 .75rem}
a{color:var(--link)}
code{font:.92em ui-monospace,'DejaVu Sans Mono',monospace;overflow-wrap:anywhere}
:focus-visible{outline:3px solid var(--link);outline-offset:2px}
header{display:flex;gap:1rem;justify-content:space-between;align-items:flex-start;padding-top:1.75rem;padding-bottom:1rem}
header p{color:var(--muted);margin:.35rem 0 0}
button{font:inherit;color:var(--text);background:var(--raised);border:1px solid var(--muted);border-radius:.4rem;padding:.3rem .7rem;cursor:pointer;white-space:nowrap}
nav{border-block:1px solid var(--line);background:var(--raised)}
nav>ul{display:flex;flex-wrap:wrap;gap:.15rem 1.1rem;list-style:none;padding-block:.45rem}
.skip{position:absolute;left:-99rem}
.skip:focus{left:1rem;top:.5rem;background:var(--page);padding:.4rem .8rem;z-index:1}
section{margin:2.5rem 0}
.lead{max-width:46rem}
.none,figcaption,.meta,caption{color:var(--muted)}
.none{font-style:italic}
.tiles{display:grid;grid-template-columns:repeat(auto-fit,minmax(9.5rem,1fr));gap:.75rem;margin:1rem 0;padding:0}
.tiles>div{background:var(--raised);border:1px solid var(--line);border-radius:.5rem;padding:.7rem .9rem}
.tiles dt{color:var(--muted);font-size:.9rem}
.tiles dd{margin:0}
.tiles dd.value{font-size:1.65rem;font-weight:600;line-height:1.3;font-variant-numeric:tabular-nums}
.tiles dd.value .none{font-size:1.05rem;font-weight:400}
.tiles dd.meta{font-size:.85rem}
.runtime{border-top:4px solid var(--runtime)!important}
.image{border-top:4px solid var(--image)!important}
figure{margin:1rem 0}
figcaption{font-size:.9rem;margin-top:.35rem;max-width:46rem}
.chart{display:block;max-width:100%;height:auto;overflow:visible}
.chart text{white-space:pre}
.narrow{display:none}
@media screen and (max-width:44rem){.wide{display:none}.narrow{display:block}}
.legend{display:flex;flex-wrap:wrap;gap:.25rem 1.1rem;list-style:none;margin:.75rem 0;padding:0;font-size:.9rem}
.swatch{display:inline-block;width:.85em;height:.85em;border-radius:.15em;margin-right:.4em;vertical-align:-.06em}
${swatches}
data{white-space:nowrap}
.scroll{overflow-x:auto;margin:.75rem 0}
table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}
caption{text-align:left;padding-bottom:.35rem}
th,td{text-align:left;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top}
thead th{color:var(--muted);font-weight:600;vertical-align:bottom}
tbody th{font-weight:600;overflow-wrap:anywhere;min-width:7rem}
.number{text-align:right;white-space:nowrap}
thead .number{white-space:normal}
td.text{min-width:5rem}
.prose{min-width:16rem}
td code,th code,.whole{white-space:nowrap}
.badge{display:inline-block;border:1px solid currentColor;border-radius:.3rem;padding:0 .4rem;font-size:.85rem;font-weight:600;white-space:nowrap}
.badge.bake{color:var(--image)}
.badge.stays{color:var(--runtime)}
.good{color:var(--good)}
.bad{color:var(--bad)}
details{margin:.75rem 0}
summary{cursor:pointer;color:var(--link)}
footer{border-top:1px solid var(--line);color:var(--muted);font-size:.9rem;padding-block:1rem 2rem;margin-top:3rem}
[hidden]{display:none}
@media print{
:root,:root[data-theme=dark],:root:not([data-theme=light]){color-scheme:light;${declarations(0)}}
@page{margin:14mm}
body{font-size:10.5pt;print-color-adjust:exact;-webkit-print-color-adjust:exact}
nav,button,.skip,.live{display:none}
main,header,footer{max-width:none;padding-inline:0}
section{margin:1.25rem 0}
h2,h3,caption{break-after:avoid}
figure,tr,.tiles>div{break-inside:avoid}
.scroll{overflow:visible}
td code,th code{white-space:normal}
.prose,td.text,tbody th{min-width:0}
table{font-size:8pt}
th,td{padding-right:.4rem}
details::details-content{content-visibility:visible;block-size:auto;opacity:1}
}
`
