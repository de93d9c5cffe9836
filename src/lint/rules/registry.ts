import type { Rule, RuleText } from '../model.ts'
import { bakedRules } from './baked.ts'
import { downloadRules } from './downloads.ts'
import { habitRules } from './habits.ts'
import { orderRules } from './order.ts'
import { packageRules } from './packages.ts'
import { secretRules } from './secrets.ts'

/** Every rule that reads recipes itself. A new one is one entry here. */
export const rules: readonly Rule[] = [
  ...orderRules,
  ...bakedRules,
  ...downloadRules,
  ...habitRules,
  ...secretRules,
  ...packageRules,
]

/** Found while findings are silenced, so by no rule of its own. */
export const allowRules = {
  'allow-unused': {
    id: 'allow-unused',
    severity: 'hint',
    finds: 'an `allow` that silences nothing',
    why: 'What it was written for is gone, or its id is misspelt; it would hide the next finding of that id.',
    fix: 'remove it',
    example: {
      bad: `- name: hello
  type: script
  run: echo hello # parbake: allow bakes-time the time of the bake is wanted`,
      good: `- name: hello
  type: script
  run: echo hello`,
    },
  },
  'allow-no-reason': {
    id: 'allow-no-reason',
    severity: 'hint',
    finds: 'an `allow` without a reason',
    why: 'Who reads it later cannot tell whether it still holds.',
    fix: 'say after the id why the finding does not matter here',
    example: {
      bad: `- name: baked-at
  type: script
  run: date >/etc/baked # parbake: allow bakes-time`,
      good: `- name: baked-at
  type: script
  run: date >/etc/baked # parbake: allow bakes-time the time of the bake is wanted`,
    },
  },
} as const satisfies Readonly<Record<string, RuleText>>

/** Stands for all that shellcheck finds, under ids such as `SC2086`. */
const shellcheckText: RuleText = {
  id: 'shellcheck',
  severity: 'warning',
  finds:
    'what shellcheck finds, each under its own id (`SC2086`) and with its own severity; `info` and `style` are hints',
  why:
    'Shell scripts fail in ways that are hard to see: unquoted names with blanks in them, tests that are always true, ' +
    'commands that only another shell has. shellcheck knows them; it is run once for all scripts, where it is installed.',
  fix: 'see the page of its id, e.g. https://www.shellcheck.net/wiki/SC2086; # shellcheck disable=SC2086 works too',
  example: {
    bad: `- name: clean
  type: script
  env:
    FOLDER: /srv/old
  run: rm -r $FOLDER/cache`,
    good: `- name: clean
  type: script
  env:
    FOLDER: /srv/old
  run: rm -r "\${FOLDER:?}/cache"`,
  },
}

/** All that `allow`, `--only`, `--except` and `--explain` know, but for shellcheck's own ids. */
export const ruleTexts: readonly RuleText[] = [...rules, shellcheckText, ...Object.values(allowRules)]

/** True for findings that are about a secret itself. */
export function isSecretId(id: string): boolean {
  return secretRules.some((rule) => rule.id === id)
}

/** True for an id that shellcheck gives. */
export function isShellcheckId(id: string): boolean {
  return /^SC\d{4}$/.test(id)
}
