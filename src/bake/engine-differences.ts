/**
 * Where the file systems of one bake in both engines may differ, as extended regular expressions on absolute paths, with the
 * reason. Whatever else differs is a bug of one of them; test/bake/engines.vm.test.ts bakes in both and holds them to it.
 */
export const engineDifferences: readonly { readonly path: RegExp; readonly why: string }[] = [
  { path: /^\/var\/lib\/parbake\/(image|stamps\/.*)$/, why: 'the id of the image, which names the time of the bake' },
  { path: /^\/var\/lib\/parbake\/(channel\..*|bundles(\/.*)?)$/, why: 'the channel says when it was signed' },
  {
    path: /^\/etc\/cron\.d\/parbake$/,
    why: 'the minute is spread by machine; every host writes its own at its first boot',
  },
  {
    path: /^\/var\/lib\/systemd\/timesync(\/clock)?$/,
    why: 'a container has no clock of its own, so systemd-timesyncd does not run there',
  },
]
