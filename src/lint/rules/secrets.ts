import { namesSecret } from '../../seal/needles.ts'
import { findSecrets, isPlaceholder } from '../../seal/secret-rules.ts'
import type { LintedRecipe, LintedStep, Report, Rule } from '../model.ts'

function checkForms({ steps }: LintedRecipe, report: Report): void {
  for (const step of steps) {
    for (const { offset, why } of secretsIn(step.script?.text)) {
      if (step.script === undefined) continue
      report({ message: `the script holds ${why}`, location: step.script.locate(offset), step })
    }
    for (const [name, value] of Object.entries(step.step.rendered.env)) {
      for (const { why } of secretsIn(value)) {
        report({ message: `env.${name} holds ${why}`, location: step.locate('env', name), step })
      }
    }
    for (const key of ['content', 'source']) {
      const value = step.source?.raw[key]
      for (const { why } of secretsIn(typeof value === 'string' ? value : undefined)) {
        report({ message: `${key} holds ${why}`, location: step.locate(key), step })
      }
    }
  }
}

function secretsIn(text: string | undefined): { readonly offset: number; readonly why: string }[] {
  return text === undefined ? [] : findSecrets(text).map(({ index, why }) => ({ offset: index, why }))
}

function checkSettings({ steps }: LintedRecipe, report: Report): void {
  for (const step of steps) {
    for (const [name, value] of Object.entries(step.step.rendered.env)) {
      if (isSecret(name, value) && secretsIn(value).length === 0) {
        report({
          message: `env.${name} is named like a secret, and everybody can read it`,
          location: step.locate('env', name),
          step,
        })
      }
    }
    const { script } = step
    if (script !== undefined) checkAssignments(step, script, report)
  }
}

function checkAssignments(step: LintedStep, script: NonNullable<LintedStep['script']>, report: Report): void {
  for (const { assignments, words } of script.shell.commands) {
    const exported = /^(?:export|readonly|local|declare|typeset)$/.test(words[0]?.text ?? '') ? words.slice(1) : []
    const settings = [
      ...assignments.map(({ name, value }) => ({
        name,
        text: value.text,
        literal: value.literal,
        offset: value.offset,
      })),
      ...exported.map(({ text, literal, offset }) => {
        const at = text.indexOf('=')
        return { name: text.slice(0, Math.max(0, at)), text: text.slice(at + 1), literal, offset }
      }),
    ]
    for (const { name, text, literal, offset } of settings) {
      if (literal && isSecret(name, text) && secretsIn(text).length === 0) {
        report({
          message: `${name} is named like a secret, and everybody can read its value`,
          location: script.locate(offset),
          step,
        })
      }
    }
  }
}

function isSecret(name: string, value: string): boolean {
  return value.length >= 6 && !isPlaceholder(value) && !/\s/.test(value) && namesSecret(name, value)
}

const why =
  'A recipe is published to every host and kept in the store, in bundles and often in a repository. Whoever reads one of ' +
  'them has the secret, and a baked step puts it into the image, where the check after the seal refuses it.'

export const secretRules: readonly Rule[] = [
  {
    id: 'secret-literal',
    severity: 'error',
    finds: 'a private key, a token or a password in a URL, in a script, in env or in a content',
    why,
    fix: 'let the step get it on the host at run time, with when: instance or bake: never; and replace it where it was used',
    example: {
      bad: `- name: clone
  type: script
  run: git clone https://deploy:f2c81a90d4@git.example.com/app.git /srv/app`,
      good: `- name: clone
  type: script
  bake: never
  run: git -c credential.helper='store --file /run/git-credentials' clone https://git.example.com/app.git /srv/app`,
    },
    check: checkForms,
  },
  {
    id: 'secret-setting',
    severity: 'warning',
    finds: 'a variable that is named like a secret and has its value in the recipe',
    why,
    fix: 'let the step read it on the host at run time',
    example: {
      bad: `- name: database
  type: script
  env:
    DB_PASSWORD: q8rL2-vvx1
  run: setup-database`,
      good: `- name: database
  type: script
  bake: never
  run: DB_PASSWORD=$(cat /run/secrets/database) setup-database`,
    },
    check: checkSettings,
  },
]
