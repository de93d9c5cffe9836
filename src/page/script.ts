/**
 * The page's only script. It switches the theme, opens what is folded for printing and, where the page is served, loads it
 * again when the server says that something changed. Everything else works without it.
 */
export const pageScript = `
'use strict'
const root = document.documentElement
const button = document.getElementById('theme')
const system = matchMedia('(prefers-color-scheme: dark)')
const isDark = () => (root.dataset.theme ? root.dataset.theme === 'dark' : system.matches)
const label = () => { button.textContent = isDark() ? 'Light theme' : 'Dark theme' }
// A page opened from disk may not be allowed to store anything.
const remember = (work) => { try { return work(localStorage) } catch { return null } }
const stored = remember((storage) => storage.getItem('parbake-theme'))
if (stored === 'dark' || stored === 'light') root.dataset.theme = stored
button.hidden = false
label()
system.addEventListener('change', label)
button.addEventListener('click', () => {
  root.dataset.theme = isDark() ? 'light' : 'dark'
  remember((storage) => storage.setItem('parbake-theme', root.dataset.theme))
  label()
})
// Tables that fit need no stop on the way of the tab key.
const regions = () => {
  for (const region of document.querySelectorAll('.scroll')) {
    if (region.scrollWidth > region.clientWidth) region.tabIndex = 0
    else region.removeAttribute('tabindex')
  }
}
regions()
addEventListener('resize', regions)
document.addEventListener('toggle', regions, true)
let opened = []
addEventListener('beforeprint', () => {
  opened = [...document.querySelectorAll('details:not([open])')]
  for (const details of opened) details.open = true
})
addEventListener('afterprint', () => { for (const details of opened) details.open = false })
const live = document.getElementById('live')
if (live) {
  const events = new EventSource(live.dataset.events)
  events.addEventListener('open', () => { live.textContent = 'Live: this page follows new reports.' })
  events.addEventListener('error', () => { live.textContent = 'The server has stopped: this page no longer follows.' })
  events.addEventListener('version', (event) => { if (event.data !== live.dataset.version) location.reload() })
}
`
