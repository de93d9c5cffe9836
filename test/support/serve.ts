import { serveStore } from '../../src/store/server/serve.ts'

/** The embedded endpoint as a process of its own, to be killed: `tsx serve.ts <directory> <access key> <secret key>`. */
const [, , directory = '', accessKey = '', secretKey = ''] = process.argv
void serveStore({ directory, bucket: 'parbake', port: 0, credentials: { accessKey, secretKey } }).then((served) => {
  process.stdout.write(`${new URL(served.url).origin}\n`)
  return undefined
})
