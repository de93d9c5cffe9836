import type { ObjectStore } from '../../src/store/object-store.ts'

/** The same store with some methods replaced. A plain copy would lose the methods of a class. */
export function storeWith(store: ObjectStore, replaced: Partial<ObjectStore>): ObjectStore {
  return {
    url: store.url,
    put: store.put.bind(store),
    putFile: store.putFile.bind(store),
    get: store.get.bind(store),
    head: store.head.bind(store),
    list: store.list.bind(store),
    delete: store.delete.bind(store),
    close: store.close.bind(store),
    ...replaced,
  }
}
