import { namesSecret } from '../../seal/needles.ts'
import { findFileSecrets, findSecrets, isPlaceholder } from '../../seal/secret-rules.ts'
import type { RenderedFile } from '../../recipe/model.ts'
import { formatPath } from '../../util/schema-problems.ts'
import type { YamlPath } from '../../util/yaml.ts'
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
    for (const [path, text] of textsOf(step.source?.raw ?? {})) {
      const [key] = path
      // Looked at as what they come to.
      if (key === 'env' || key === 'content' || (key === 'run' && step.script !== undefined)) continue
      for (const { why } of secretsIn(text)) {
        report({ message: `${formatPath(path)} holds ${why}`, location: step.locate(...path), step })
      }
    }
    for (const file of step.step.rendered.files) checkFile(step, file, report)
  }
}

/** All texts in a value, with their paths. */
function textsOf(value: unknown, path: YamlPath = []): readonly (readonly [YamlPath, string])[] {
  if (typeof value === 'string') return [[path, value]]
  if (Array.isArray(value)) return value.flatMap((item: unknown, index) => textsOf(item, [...path, index]))
  return [...entriesOf(value)].flatMap(([key, item]) => textsOf(item, [...path, key]))
}

/** Larger files are data. */
const searchedBytes = 256 * 1024

/** What the step brings along: its inputs, and what its type makes of its keys. */
function checkFile(step: LintedStep, { path, content }: RenderedFile, report: Report): void {
  if (content.length > searchedBytes) return
  const text = content.toString('latin1')
  const raw = step.source?.raw ?? {}
  const isInput = !path.startsWith('.parbake/')
  const { destination } = raw
  const onHost = isInput ? `/${path}` : typeof destination === 'string' ? destination : ''
  const key = isInput ? 'inputs' : ['content', 'template', 'source'].find((name) => raw[name] !== undefined)
  for (const { why } of [...findSecrets(text), ...findFileSecrets(onHost, text)].slice(0, 1)) {
    report({
      message: isInput ? `the input ${path} holds ${why}` : `${onHost} holds ${why}`,
      location: key === undefined ? step.locate() : step.locate(key),
      step,
    })
  }
}

function secretsIn(text: string | undefined): { readonly offset: number; readonly why: string }[] {
  return text === undefined ? [] : findSecrets(text).map(({ index, why }) => ({ offset: index, why }))
}

function checkSettings(recipe: LintedRecipe, report: Report): void {
  const { steps } = recipe
  checkParams(recipe, report)
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

/** Defaults of parameters, in each recipe.yaml that has steps. */
function checkParams({ steps }: LintedRecipe, report: Report): void {
  for (const document of new Set(steps.flatMap(({ source }) => source?.document ?? []))) {
    for (const [name, definition] of entriesOf(entriesOf(document.value).get('params'))) {
      const path = ['params', name]
      const inner = entriesOf(definition)
      const value = inner.has('default') ? inner.get('default') : definition
      if (typeof value === 'string' && isSecret(name, value)) {
        report({
          message: `params.${name} is named like a secret, and everybody can read its default`,
          location: document.locate(inner.has('default') ? [...path, 'default'] : path),
        })
      }
    }
  }
}

function entriesOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(typeof value === 'object' && value !== null ? Object.entries(value) : [])
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
    finds: 'a private key, a token or a password in a URL, in a script, in env, in a content or in an input',
    why,
    fix: 'name it under secrets, so that hosts fetch it themselves; and replace it, for it has been read',
    example: {
      bad: `- name: clone
  type: script
  run: git clone https://deploy:f2c81a90d4@git.example.com/app.git /srv/app`,
      good: `- name: clone
  type: script
  secrets: [GIT_TOKEN]
  run: |
    helper='!f() { echo username=deploy; echo "password=$GIT_TOKEN"; }; f'
    git -c credential.helper="$helper" clone https://git.example.com/app.git /srv/app`,
    },
    check: checkForms,
  },
  {
    id: 'secret-setting',
    severity: 'warning',
    finds: 'a variable or a parameter that is named like a secret and has its value in the recipe',
    why,
    fix: 'name it under secrets, so that hosts fetch it themselves',
    example: {
      bad: `- name: database
  type: script
  env:
    DB_PASSWORD: q8rL2-vvx1
  run: setup-database`,
      good: `- name: database
  type: script
  secrets: [DB_PASSWORD]
  run: setup-database`,
    },
    check: checkSettings,
  },
]
