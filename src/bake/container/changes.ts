import { lstatSync, readdirSync, rmSync, type Stats } from 'node:fs'
import { join } from 'node:path'

/** What the layers of a bake have in them, relative to the root: '' is the root itself. */
export interface LayerPaths {
  readonly folders: ReadonlySet<string>
  readonly others: ReadonlySet<string>
}

/** Every path that occurs in any of these upper folders. Synchronous: a thread switch per file would cost more than it. */
export function pathsInLayers(uppers: readonly string[]): LayerPaths {
  const folders = new Set<string>()
  const others = new Set<string>()
  const walk = (upper: string, path: string) => {
    folders.add(path)
    for (const entry of readdirSync(join(upper, path), { withFileTypes: true })) {
      const child = path === '' ? entry.name : `${path}/${entry.name}`
      if (entry.isDirectory()) walk(upper, child)
      else others.add(child)
    }
  }
  for (const upper of uppers) walk(upper, '')
  return { folders, others }
}

/** How a disk must be changed to hold what the layers show. */
export interface DiskChanges {
  /** Paths that must go, with all below them, before anything is copied. */
  readonly remove: readonly string[]
  /** Paths to copy, folders without what is in them, outer ones first. */
  readonly copy: readonly string[]
  /** Files with holes, to be copied before all else and with care: that takes three times as long. */
  readonly sparse: readonly string[]
}

/**
 * Compares what the layers show (`merged`) with the disk that is still as the base. Whatever was removed, was so from a
 * folder that is in a layer, be it by a mark in the layer or by a folder that hides the one below. No path is looked at
 * through a link.
 */
export function findChanges(paths: LayerPaths, merged: string, disk: string): DiskChanges {
  const remove = new Set<string>()
  const copy: string[] = []
  const sparse: string[] = []
  // Folders whose whole way from the root consists of folders, in both trees.
  const shown = new Set<string>()
  const onDisk = new Set<string>()
  for (const path of byDepth(paths.folders)) {
    if (path !== '' && !shown.has(parentOf(path))) continue
    if (entry(join(merged, path))?.isDirectory() !== true) {
      // A later layer put something else in its place.
      continue
    }
    shown.add(path)
    copy.push(path === '' ? '.' : path)
    if (path !== '' && !onDisk.has(parentOf(path))) continue
    const there = entry(join(disk, path))
    if (there === undefined) continue
    if (!there.isDirectory()) {
      remove.add(path)
      continue
    }
    onDisk.add(path)
    const names = new Set(readdirSync(join(merged, path)))
    for (const name of readdirSync(join(disk, path))) if (!names.has(name)) remove.add(join(path, name))
  }
  for (const path of new Set([...paths.folders, ...paths.others])) {
    if (path === '' || !shown.has(parentOf(path)) || shown.has(path)) continue
    const shows = entry(join(merged, path))
    if (shows === undefined) continue
    // What is written over would still be what other names on the disk stand for.
    if (onDisk.has(parentOf(path)) && entry(join(disk, path)) !== undefined) remove.add(path)
    if (shows.isFile() && shows.blocks * 512 < shows.size) sparse.push(path)
    else copy.push(path)
  }
  return { remove: [...remove], copy, sparse }
}

/** Carries out the removals. */
export function removePaths(disk: string, paths: readonly string[]): void {
  for (const path of paths) rmSync(join(disk, path), { recursive: true, force: true })
}

function byDepth(paths: ReadonlySet<string>): readonly string[] {
  const depth = (path: string) => (path === '' ? 0 : path.split('/').length)
  return [...paths].toSorted((a, b) => depth(a) - depth(b))
}

function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash === -1 ? '' : path.slice(0, slash)
}

function entry(path: string): Stats | undefined {
  return lstatSync(path, { throwIfNoEntry: false })
}
