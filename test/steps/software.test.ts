import { describe, expect, it } from 'vitest'
import { findings } from '../recipe/support.ts'
import { renderType } from './support.ts'
import { canScratch, runInScratch, shells } from './scratch.ts'

/** A tool that shows how it was called and what is set, and ends as the test says. */
const fake = (name: string) => `mkdir -p /fake; cat >/fake/${name} <<'END'
#!/bin/sh
echo "${name} $*"
env | grep -E '^(ANSIBLE_HOME|ANSIBLE_NOCOLOR|FACTER_)' | sort
cat .parbake/vars.json 2>/dev/null
mkdir -p "\${ANSIBLE_HOME:-/nowhere}/left" 2>/dev/null
exit "\${EXIT:-0}"
END
chmod +x /fake/${name}`

const env = (exit = '0') => ({ PATH: '/fake:/bb', EXIT: exit })

describe.skipIf(!canScratch)('ansible', () => {
  it.each(shells)('calls ansible-playbook and leaves nothing else, under %s', async (shell) => {
    const spec = { playbook: 'play/site.yml', vars: { port: 80, list: ['a', { b: null }] }, tags: ['x', 'y'] }
    const [, played, left] = await runInScratch(
      [fake('ansible-playbook'), await renderType('ansible', spec), 'ls -A /tmp'],
      { shell, env: env() },
    )
    expect([played?.exitCode, played?.stderr, left?.stdout]).toEqual([0, '', ''])
    expect(played?.stdout.replace(/HOME=\S+/, 'HOME=').split('\n')).toEqual([
      'ansible-playbook --inventory localhost, --connection local --extra-vars @.parbake/vars.json --tags x,y play/site.yml',
      'ANSIBLE_HOME=',
      'ANSIBLE_NOCOLOR=1',
      '{"port":80,"list":["a",{"b":null}]}',
    ])
  })

  it('fails as it does, and says where it is not there', async () => {
    const step = await renderType('ansible', { playbook: 'site.yml' })
    const [absent, , failed] = await runInScratch([step, fake('ansible-playbook'), step], {
      ...{ shell: 'busybox', env: env('2') },
    })
    expect([absent?.exitCode, absent?.stderr]).toEqual([
      1,
      'parbake: ansible-playbook is not on this host: remove install: false, or install it in a step that this one needs',
    ])
    expect(failed?.exitCode).toBe(2)
  })
})

describe.skipIf(!canScratch)('puppet', () => {
  it.each([
    ['0', 0, ''],
    ['2', 0, ''],
    ['1', 1, 'parbake: Puppet failed with exit status 1'],
    ['4', 1, 'parbake: Puppet could not bring every resource to what it should be'],
    ['6', 1, 'parbake: Puppet could not bring every resource to what it should be'],
  ])('exit status %s of puppet', async (exit, expected, message) => {
    const spec = { manifest: 'site.pp', modules: 'modules', facts: { role: 'web server', port: 80 } }
    const [, applied, left] = await runInScratch([fake('puppet'), await renderType('puppet', spec), 'ls -A /tmp'], {
      ...{ shell: 'busybox', env: env(exit) },
    })
    expect([applied?.exitCode, applied?.stderr, left?.stdout]).toEqual([expected, message, ''])
    const [call, ...facts] = (applied?.stdout ?? '').split('\n')
    expect(call).toMatch(/^puppet apply --detailed-exitcodes .* --modulepath \/parts\/1\/files\/modules:.* site\.pp$/)
    expect(facts).toEqual(['FACTER_port=80', 'FACTER_role=web server'])
  })
})

describe('problems', () => {
  const step = (lines: string) => `params:\n  port: 80\nsteps:\n  - name: one\n${lines.replaceAll(/^/gm, '    ')}\n`
  it.each([
    ['type: ansible\nplaybook: gone.yml', "steps[0].playbook names 'gone.yml', which does not exist"],
    ['type: ansible\nplaybook: folder', "steps[0].playbook names a folder, 'folder', where a file is wanted"],
    ['type: ansible\nplaybook: p.yml\nvars:\n  a: [x, "{{gone}}"]', "there is no parameter 'gone'"],
    ['type: ansible\nplaybook: p.yml\nvars: {a-b: 1}', 'steps[0].vars.a-b is no name of a variable'],
    ['type: ansible\nplaybook: p.yml\ntags: ["a,b"]', 'steps[0].tags[0] must be a tag'],
    ['type: puppet\nmanifest: gone.pp', "steps[0].manifest names 'gone.pp', which does not exist"],
    ['type: puppet\nmanifest: p.yml\nmodules: gone', "steps[0].modules names 'gone', which does not exist"],
    ['type: puppet\nmanifest: p.yml\nfacts: {A: 1}', 'steps[0].facts.A is no name of a fact'],
    ['type: puppet\nmanifest: p.yml\nfacts: {a: "{{gone}}"}', "there is no parameter 'gone'"],
  ])('%j', async (lines, message) => {
    const text = await findings({ 'recipe.yaml': step(lines), 'p.yml': '', 'folder/x': '' })
    expect(text).toContain(message)
    expect(text.match(/recipe\.yaml:\d+:\d+: /g)).toHaveLength(1)
  })
})
