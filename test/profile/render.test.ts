import { describe, expect, it } from 'vitest'
import { renderProfile } from '../../src/profile/render.ts'
import { profileOf } from '../../src/profile/statistics.ts'
import { digestOf, fixture, fixtureNames, launch, recipe, report, step, stepReport } from './support.ts'

const ofRecipe = recipe([
  step('packages'),
  step('app-venv', { needs: ['packages'] }),
  step('compile'),
  step('nginx-site', { needs: ['packages'] }),
  step('register', { when: 'instance' }),
  step('heartbeat', { when: 'always' }),
])
const launches = [launch({ run: fixture('runtime').run, launchSeconds: 78.03, readyUptime: 72.77 })]
const profile = profileOf(fixtureNames.map(fixture), ofRecipe, launches)
const plain = { colour: false }

describe('renderProfile', () => {
  it('shows the fixtures like this', () => {
    expect(renderProfile(profile, plain))
      .toBe(`web: 3 cold boots (1 failed) in 4 reports, 2026-11-20 09:58Z to 2026-11-20 10:20Z

STEP        WHEN      COUNT  MEDIAN     P95  SHARE               CPU  RECEIVED      DISK  FAILED
packages    change       2*  14.8 s  14.8 s   19 %  █▌        6.41 s  46.0 MiB   174 MiB       -
app-venv    change       1*  9.37 s  9.37 s   12 %  █         5.02 s   7.0 MiB  59.0 MiB       1
compile     change       2*  7.91 s  7.91 s   10 %  ▊         7.44 s   1.2 KiB   2.3 MiB       -
nginx-site  change       2*  0.31 s  0.31 s  0.7 %            0.12 s       0 B   8.0 KiB       -
register    instance      3  0.22 s  0.22 s  0.5 %            0.06 s     512 B   4.0 KiB       -
heartbeat   always        3  0.05 s  0.05 s  0.1 %            0.02 s       0 B       0 B       -

LAUNCH TO READY                     COUNT  MEDIAN     P95  FIRMWARE
all steps ran                          1*  78.0 s  78.0 s    5.26 s
some steps baked                       1*  30.5 s  30.5 s    5.26 s
on the plain base                      1*  78.0 s  78.0 s    5.26 s
on image web-20261120T100931Z-5c1d     1*  30.5 s  30.5 s    5.26 s

* fewer than 3 samples: take the figure as a hint
failed: run f4318a6c-8b2d-4c7e-b1a0-9e8d7c6b5a44 on web-3-f017b3c9 in app-venv: step app-venv failed with exit status 1
`)
  })

  it('marks digests that the recipe has no more', () => {
    const old = report([stepReport('gone', 5), stepReport('packages', 3)])
    const text = renderProfile(profileOf([old], ofRecipe), plain)
    expect(text).toMatch(new RegExp(`^gone \\(old ${digestOf('gone').slice(0, 8)}\\) `, 'm'))
    expect(text).toMatch(/^all steps ran \(other version\) +1\*/m)
  })

  it('shows the newest of many digests that the recipe has no more', () => {
    const many = Array.from({ length: 30 }, (_, index) =>
      report([stepReport(`gone-${index}`, 5)], { startedAt: index }),
    )
    const text = renderProfile(profileOf([...many, report([stepReport('packages', 3)])], ofRecipe), plain)
    expect(text.match(/^gone-\d+ /gm)).toEqual([29, 28, 27, 26, 25, 24, 23, 22].map((index) => `gone-${index} `))
    expect(text).toMatch(/^packages +change +1\*/m)
    expect(text).toContain('22 older steps that the recipe has no more: --json shows them')
  })

  it('lets no host write to the terminal', () => {
    const evil = report([stepReport('a', 1)], { outcome: 'failed', error: 'x\u001B[2J\r\ny', host: 'h\u0007' })
    expect(renderProfile(profileOf([evil]), plain)).not.toMatch(/[\u0000-\u0009\u000B-\u001F\u007F-\u009F]/)
  })

  it('shows nothing measured without tables', () => {
    expect(renderProfile(profileOf([], ofRecipe), plain)).toBe('web: 0 cold boots (0 failed) in 0 reports\n')
  })
})
