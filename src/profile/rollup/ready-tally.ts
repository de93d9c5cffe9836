import { Sketch, type SketchJson } from '../sketch.ts'

/** `all-ran`: every step was executed. `some-baked`: at least one stamp came with the image. */
export type BootKind = 'all-ran' | 'some-baked' | 'other'

export interface ReadyJson {
  readonly image: string
  readonly bundle: string
  readonly kind: BootKind
  /** Digest over the step digests of the report, in order: the recipe as this boot saw it. */
  readonly steps: string
  readonly failed: number
  readonly launchToReady: SketchJson
  readonly readyUptime: SketchJson
  readonly firmware: SketchJson
}

/** Cold boots of one image, bundle and kind, mergeable. The sketches hold those that succeeded. */
export class ReadyTally {
  readonly image: string
  readonly bundle: string
  readonly kind: BootKind
  readonly steps: string
  failed = 0
  /** Seconds from power-on where the host knows them, else from the start of the kernel. */
  launchToReady = new Sketch()
  readyUptime = new Sketch()
  /** Seconds before the kernel, where the host knows them. */
  firmware = new Sketch()

  constructor(cell: ReadyCell) {
    this.image = cell.image
    this.bundle = cell.bundle
    this.kind = cell.kind
    this.steps = cell.steps
  }

  get key(): string {
    return readyKey(this)
  }

  merge(other: ReadyTally): void {
    this.failed += other.failed
    this.launchToReady.merge(other.launchToReady)
    this.readyUptime.merge(other.readyUptime)
    this.firmware.merge(other.firmware)
  }

  toJSON(): ReadyJson {
    return {
      image: this.image,
      bundle: this.bundle,
      kind: this.kind,
      steps: this.steps,
      failed: this.failed,
      launchToReady: this.launchToReady.toJSON(),
      readyUptime: this.readyUptime.toJSON(),
      firmware: this.firmware.toJSON(),
    }
  }

  static fromJSON(json: ReadyJson): ReadyTally {
    const tally = new ReadyTally(json)
    tally.failed = json.failed
    tally.launchToReady = Sketch.fromJSON(json.launchToReady)
    tally.readyUptime = Sketch.fromJSON(json.readyUptime)
    tally.firmware = Sketch.fromJSON(json.firmware)
    return tally
  }
}

export type ReadyCell = Pick<ReadyJson, 'image' | 'bundle' | 'kind' | 'steps'>

export function readyKey(cell: ReadyCell): string {
  return `${cell.image} ${cell.bundle} ${cell.kind} ${cell.steps}`
}

export interface GroupJson {
  readonly cold: number
  readonly failed: number
  readonly launchToReady: SketchJson
}

/** Cold boots of hosts that share one group value. */
export class GroupTally {
  cold = 0
  failed = 0
  launchToReady = new Sketch()

  merge(other: GroupTally): void {
    this.cold += other.cold
    this.failed += other.failed
    this.launchToReady.merge(other.launchToReady)
  }

  toJSON(): GroupJson {
    return { cold: this.cold, failed: this.failed, launchToReady: this.launchToReady.toJSON() }
  }

  static fromJSON(json: GroupJson): GroupTally {
    const tally = new GroupTally()
    tally.cold = json.cold
    tally.failed = json.failed
    tally.launchToReady = Sketch.fromJSON(json.launchToReady)
    return tally
  }
}
