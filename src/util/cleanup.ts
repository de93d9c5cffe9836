/**
 * Undoes things in reverse order when disposed, as AsyncDisposableStack does (which Node 20 lacks). A later undo runs even
 * if an earlier one throws; the first error is thrown at the end.
 */
export class Cleanup implements AsyncDisposable {
  #undo: (() => PromiseLike<void> | void)[] = []

  /** Registers something to dispose and hands it back. */
  use<T extends AsyncDisposable>(resource: T): T {
    this.defer(() => resource[Symbol.asyncDispose]())
    return resource
  }

  defer(undo: () => PromiseLike<void> | void): void {
    this.#undo.push(undo)
  }

  /** Hands all duties over to a new object; disposing this one does nothing any more. */
  move(): Cleanup {
    const heir = new Cleanup()
    heir.#undo = this.#undo
    this.#undo = []
    return heir
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const duties = this.#undo
    this.#undo = []
    let failed = false
    let failure: unknown
    for (const undo of duties.toReversed()) {
      try {
        await undo()
      } catch (error) {
        if (!failed) failure = error
        failed = true
      }
    }
    if (failed) throw failure
  }
}
