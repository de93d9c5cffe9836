import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { rm, symlink, writeFile } from 'node:fs/promises'
import { describe, expect, it } from 'vitest'
import {
  AgentHost,
  collect,
  outcomes,
  runningStep,
  shells,
  testRecipe,
  until,
  type ShellName,
} from '../support/agent.ts'

const names = Object.keys(shells) as ShellName[]
const locks = names.flatMap((shell) => ['flock', 'file'].map((lock) => [shell, lock] as const))

/** A step that says that it has begun, and goes on when the test lets it. */
function gate(host: AgentHost, name = 'gate') {
  const open = host.path('out', `${name}-open`)
  const begun = host.path('out', `${name}-begun`)
  return {
    step: host.step(
      name,
      `touch ${begun}; while ! test -e ${open}; do /bin/sleep 0.05; done; echo ${name}-end >>${host.path('out/trace')}`,
    ),
    begun: () => until(`step ${name} begins`, () => existsSync(begun)),
    open: () => writeFile(open, ''),
  }
}

describe.each(locks)('the lock under %s with %s', (shell, lock) => {
  const env = { PARBAKE_LOCK: lock }

  it('lets one converge at a time through: cron gives up, a person waits', async () => {
    await using host = await AgentHost.create()
    await rm(host.path('bin/sleep'))
    const slow = gate(host)
    await host.publish(testRecipe([slow.step]))
    const first = collect(host.start(['run'], { shell, env }))
    await slow.begun()
    const cron = await host.run(['run', '--trigger', 'cron'], { shell, env })
    expect(cron).toMatchObject({ code: 75, stdout: '', stderr: '' })
    const waiting = collect(host.start(['run'], { shell, env }))
    await slow.open()
    expect((await first).code).toBe(0)
    expect((await waiting).code).toBe(0)
    expect(host.trace()).toEqual(['gate', 'gate-end'])
    expect(outcomes(host.report())).toEqual({ gate: 'stamped' })
    expect(existsSync(host.path('run/lock.pid'))).toBe(false)
  })

  it('is not held by a daemon that a step left', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('daemon', `/bin/sleep 100 & echo $! >${host.path('out/pid')}`)]))
    await host.converge({ shell, env })
    const pid = Number(host.text('out/pid'))
    try {
      process.kill(pid, 0)
      expect((await host.run(['run', '--trigger', 'cron'], { shell, env })).code).toBe(0)
    } finally {
      process.kill(pid, 'SIGKILL')
    }
  })
})

it('removes a lock file whose process is gone, and keeps one whose process lives', async () => {
  await using host = await AgentHost.create()
  const env = { PARBAKE_LOCK: 'file' }
  await host.publish(testRecipe([host.step('one')]))
  await host.converge({ env })
  const gone = spawn('true')
  await collect(gone)
  await writeFile(host.path('run/lock.pid'), `${process.pid}\n`)
  expect((await host.run(['run', '--trigger', 'cron'], { env })).code).toBe(75)
  await writeFile(host.path('run/lock.pid'), `${gone.pid}\n`)
  expect((await host.run(['run', '--trigger', 'cron'], { env })).code).toBe(0)
  expect(host.text('agent.log')).toMatch(`removing the lock of process ${gone.pid}, which is gone`)
})

describe('a converge that is cut off', () => {
  it.each(names)('in the middle of a step is made up for by the next one (%s)', async (shell) => {
    await using host = await AgentHost.create()
    const slow = gate(host)
    const recipe = testRecipe([host.step('before'), slow.step, host.step('after')])
    await host.publish(recipe)
    const first = host.start(['run'], { shell })
    const ended = collect(first)
    await slow.begun()
    // A power cut takes the step with it.
    const step = runningStep(first)
    first.kill('SIGKILL')
    process.kill(-step, 'SIGKILL')
    expect((await ended).signal).toBe('SIGKILL')
    expect(recipe.steps.map((each) => host.stamped(each.digest))).toEqual([true, false, false])
    await slow.open()
    await host.reboot()
    const report = await host.converge({ shell })
    expect(outcomes(report)).toEqual({ before: 'stamped', gate: 'ran', after: 'ran' })
    expect(host.trace()).toEqual(['before', 'gate', 'gate', 'gate-end', 'after'])
  })

  it('between two steps, or while it fetches, ends where an undisturbed one would', async () => {
    await using host = await AgentHost.create()
    const recipe = testRecipe([host.step('one'), host.step('two'), host.step('three')])
    await host.publish(recipe)
    // Each of these is started by the agent itself at some point of a converge, and takes the agent down with it.
    const killers = ['openssl', 'tar', 'mv', 'sync', 'df', 'cp', 'sha256sum', 'setsid', 'date', 'tail', 'uname']
    for (const tool of killers) {
      for (const nth of [1, 2]) {
        const count = host.path(`count-${tool}-${nth}`)
        await rm(host.path('bin', tool), { force: true })
        await host.fake(
          tool,
          `echo x >>${count}\nif [ "$(/usr/bin/wc -l <${count})" -eq ${nth} ]; then kill -KILL $PPID; exit 1; fi\nPATH=/usr/bin:/bin exec ${tool} "$@"`,
        )
        await host.run(['run'])
        await rm(host.path('bin', tool))
        await rm(host.path('run/tools'), { force: true })
      }
    }
    await symlink('/bin/true', host.path('bin/sync'))
    const report = await host.converge()
    expect(report).toMatchObject({ outcome: 'ok', serial: 1 })
    expect(report.steps.map((step) => step.outcome).every((outcome) => ['ran', 'stamped'].includes(outcome))).toBe(true)
    for (const step of recipe.steps) expect(host.stamped(step.digest)).toBe(true)
    for (const step of recipe.steps) expect(host.trace()).toContain(step.name)
  })

  it('between keeping a channel and noting its serial refuses an older one all the same', async () => {
    await using host = await AgentHost.create()
    await host.publish(testRecipe([host.step('one')]), { content: { serial: 1 } })
    await host.converge()
    const older = host.text('store/channels/web/stable')
    await host.publish(testRecipe([host.step('two')]), { content: { serial: 5 } })
    await host.fake('mv', `case "$*" in *seen.new*) kill -KILL $PPID; exit 1 ;; esac\nPATH=/usr/bin:/bin exec mv "$@"`)
    expect((await host.run(['run'])).signal).toBe('SIGKILL')
    await rm(host.path('bin/mv'))
    const newer = host.text('store/channels/web/stable')
    await host.put('channels/web/stable', older)
    expect((await host.run(['run'])).stderr).toMatch(/serial 1 is older than 5/)
    await host.put('channels/web/stable', newer)
    await host.converge()
    expect(host.text('state/channel.web.stable.seen')).toMatch(/^5 /)
  })

  it.each(names)('by SIGTERM stops the running step and gives the lock back (%s)', async (shell) => {
    await using host = await AgentHost.create()
    const slow = gate(host)
    await host.publish(testRecipe([slow.step]))
    for (const lock of ['flock', 'file']) {
      const child = host.start(['run'], { shell, env: { PARBAKE_LOCK: lock } })
      const ended = collect(child)
      await slow.begun()
      const step = runningStep(child)
      child.kill('SIGTERM')
      expect((await ended).code).toBe(130)
      await until('the step ends', () => !existsSync(`/proc/${step}`))
      expect(existsSync(host.path('run/lock.pid'))).toBe(false)
      await rm(host.path('out/gate-begun'))
      await rm(host.path('run/tools'))
    }
  })
})
