import type { LintedRecipe, Report, Rule } from '../model.ts'

function checkPins({ steps }: LintedRecipe, report: Report): void {
  for (const step of steps) {
    for (const mention of step.effects.packages) {
      const { what } = mention
      if (what.includes('=') || what.includes('/')) continue
      report({
        message: `the version of ${what} is that of the day`,
        location: step.locateMention(mention),
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
