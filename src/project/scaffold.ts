import { dumpYaml } from '../util/yaml.ts'

/** What a new project is made of, besides what every project has. */
export interface ProjectAnswers {
  /** Of the first recipe. */
  readonly name: string
  /** Object store as parbake.yaml takes it; undefined for a folder of this machine. */
  readonly store: string | undefined
  /** Whose pipeline checks and publishes; undefined for none. */
  readonly ci: CiSystem | undefined
}

export type CiSystem = (typeof ciSystems)[number]
export const ciSystems = ['github', 'gitlab'] as const

export interface ProjectFile {
  /** Relative to the project's folder, with `/`. */
  readonly path: string
  readonly text: string
}

/** The files of a new project. They pass `parbake check`, and the recipe can be published as it is. Pure. */
export function projectFiles(answers: ProjectAnswers): readonly ProjectFile[] {
  const { name, ci } = answers
  return [
    { path: 'parbake.yaml', text: configText(answers) },
    { path: `recipes/${name}/recipe.yaml`, text: recipeText(name) },
    { path: `recipes/${name}/templates/motd`, text: 'This host is made by parbake: {{greeting}}\n' },
    { path: `recipes/${name}/params/prod.yaml`, text: '# Taken by --env prod.\ngreeting: production\n' },
    { path: '.gitignore', text: '# What parbake keeps for itself, and private keys.\n.parbake/\n*.key\n' },
    ...(ci === undefined ? [] : [ciFile(ci, name)]),
  ]
}

function configText({ store }: ProjectAnswers): string {
  const line =
    store === undefined
      ? '# store: s3://bucket/prefix?region=eu-central-1   # minio://host:9000/bucket, or a folder; this one by default\n'
      : dumpYaml({ store })
  return `# What all recipes of this project share; the README of parbake lists every key.
${line}channel: stable

hosts:
  # What hosts show the store: instance-role on a cloud, else static keys or presigned URLs.
  auth: static
`
}

function recipeText(name: string): string {
  return `# parbake check recipes/${name}; parbake publish recipes/${name}
name: ${name}
description: The first recipe of this project

params:
  greeting: hello

steps:
  - name: packages
    description: What the other steps use
    type: packages
    install: [curl]
    needs: []

  - name: motd
    description: What people see who log in
    type: template
    template: templates/motd
    destination: /etc/motd
    needs: []

  - name: register
    description: Once for each instance
    type: script
    when: instance
    needs: [packages]
    env:
      GREETING: '{{greeting}}'
    run: |
      mkdir -p /var/lib/${name}
      printf '%s\\n' "$GREETING" >/var/lib/${name}/registered
`
}

function ciFile(system: CiSystem, name: string): ProjectFile {
  const check = 'npx --yes parbake check --strict'
  const publish = `npx --yes parbake publish recipes/${name} --env prod`
  if (system === 'gitlab') {
    return {
      path: '.gitlab-ci.yml',
      text: `# PARBAKE_SIGNING_KEY (the private key, PEM) and the store's credentials are protected variables of the project.
image: node:22

check:
  script: [${check}]

publish:
  needs: [check]
  script: [${publish}]
  rules:
    - if: $CI_COMMIT_BRANCH == $CI_DEFAULT_BRANCH
`,
    }
  }
  return {
    path: '.github/workflows/parbake.yml',
    text: `# PARBAKE_SIGNING_KEY (the private key, PEM) and the store's credentials are secrets of the repository.
name: parbake
on: [push, pull_request]
jobs:
  check:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with: { node-version: 22 }
      - run: ${check}
  publish:
    if: github.event_name == 'push' && github.ref_name == github.event.repository.default_branch
    needs: check
    runs-on: ubuntu-latest
    env:
      PARBAKE_SIGNING_KEY: \${{ secrets.PARBAKE_SIGNING_KEY }}
      AWS_ACCESS_KEY_ID: \${{ secrets.AWS_ACCESS_KEY_ID }}
      AWS_SECRET_ACCESS_KEY: \${{ secrets.AWS_SECRET_ACCESS_KEY }}
    steps:
      - uses: actions/checkout@v4
      - uses: actions/setup-node@v4
        with: { node-version: 22 }
      - run: ${publish}
`,
  }
}
