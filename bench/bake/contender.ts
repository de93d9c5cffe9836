import type { Accelerator } from '../../src/vm/accelerator.ts'

/** What every contender bakes from and with. */
export interface Bench {
  /** qcow2 of the base. */
  readonly basePath: string
  readonly accelerator: Accelerator['name']
  /** A folder for everything, removed at the end. */
  readonly work: string
  /** Takes what the contenders print. */
  readonly log: string
  readonly signal: AbortSignal
  readonly say: (text: string) => void
}

/** One image, made once. */
export interface Sample {
  readonly seconds: number
  readonly sizeBytes: number
  readonly peakMiB: number
  /** Where the seconds went, as far as it is several programs. */
  readonly parts?: Readonly<Record<string, number>>
}

/** A program that makes images, or one way to use it. */
export interface Contender {
  readonly name: string
  readonly needs: readonly Need[]
  /** Runs once, before the clock starts. */
  prepare?(bench: Bench): Promise<void>
  /** Makes its images and hands them over one at a time: `done` checks what is in one and may delete it. */
  bake(
    bench: Bench,
    folder: string,
    done: (label: string, sample: Sample, disk: string) => Promise<void>,
  ): Promise<void>
}

/** Something that must be installed. */
export interface Need {
  readonly debianPackage: string
  /** A program on PATH, or something else to look for. */
  readonly proof: { readonly program: string } | { isThere(): Promise<boolean> }
}

/** Memory and processors that every guest gets. */
export const guest = { memoryMiB: 1024, cpus: 2 } as const

/** The scripts of the workload, in order: each is one step, one provisioner, one `--run`. */
export const scripts = ['packages', 'account', 'site', 'checksum', 'compile', 'data'] as const

export function scriptPath(name: (typeof scripts)[number]): string {
  return new URL(`recipe/scripts/${name}.sh`, import.meta.url).pathname
}
