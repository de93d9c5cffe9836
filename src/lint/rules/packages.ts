import type { LintedRecipe, Report, Rule } from '../model.ts'

function checkPins({ steps }: LintedRecipe, report: Report): void {
  for (const step of steps) {
    for (const { what, offset } of step.effects.packages) {
      if (what.includes('=') || what.includes('/')) continue
      const listed = step.source?.raw['install']
      const index = Array.isArray(listed) ? listed.indexOf(what) : -1
      report({
        message: `the version of ${what} is that of the day`,
        location:
          offset !== undefined && step.script !== undefined
            ? step.script.locate(offset)
            : step.locate('install', ...(index === -1 ? [] : [index])),
        step,
      })
    }
  }
}

export const packageRules: readonly Rule[] = [
  {
    id: 'unpinned-package',
    severity: 'hint',
    finds: 'a package without a version',
    why:
      'Two hosts that are provisioned on different days may get different versions, and so may two bakes. Most fleets want ' +
      "that for the sake of security updates; where one version matters, pin it, or use a snapshot of the distribution's archive.",
    fix: 'name=version pins it',
    example: {
      bad: `- name: database
  type: packages
  install: [postgresql-15]`,
      good: `- name: database
  type: packages
  install: [postgresql-15=15.14-0+deb12u1]`,
    },
    check: checkPins,
  },
]
