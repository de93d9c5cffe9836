import { z } from 'zod'
import { shQuote } from '../util/sh-quote.ts'
import { commonShape } from './common.ts'
import { callDownload, download, downloadPath } from './download.ts'
import { fillUrl, hostPath, modeField, ownerEffects, ownerField, sha256Field } from './fields.ts'
import { callInstallFile, installFile, prologue } from './shell.ts'
import { defineStepType } from './types.ts'

const schema = z
  .strictObject({
    type: z.literal('fetch').meta({ description: 'Fetches a file from the web.' }),
    ...commonShape,
    url: z.string().min(1).meta({ description: 'Where it is: http:// or https://. May use {{param}}.' }),
    sha256: sha256Field.meta({ description: 'What it must be; anything else is thrown away.' }),
    destination: hostPath('a file').meta({ description: 'Absolute path of the file on the host.' }),
    owner: ownerField.meta({ description: 'Owner of the file: user or user:group. Default root:root.' }),
    mode: modeField.meta({ description: 'Permissions of the file, as a quoted octal string. Default "0644".' }),
  })
  .meta({ description: 'Fetches a file by curl, wget or python3, verifies it and puts it in place atomically.' })

/** Fetches one file. */
export const fetch = defineStepType({
  name: 'fetch',
  summary: 'a file from the web (url, sha256), with owner and mode',
  schema,
  check: async ({ url }, context) => {
    if (typeof url === 'string') await fillUrl(['url'], url, context)
  },
  render: async (spec, context) => {
    const url = await fillUrl(['url'], spec.url, context)
    if (url === undefined) return undefined
    const there = shQuote(spec.destination)
    const script = `${prologue}${installFile}${download}if [ ! -L ${there} ] && has_digest ${there} ${spec.sha256}; then
  ${callInstallFile(spec.destination, spec)}else
  ${callDownload(url, spec.sha256)}  ${callInstallFile(downloadPath, spec)}  rm -f ${downloadPath}
fi
`
    return { script, files: [] }
  },
  effects: (spec) => ({ writes: [spec.destination], ...ownerEffects(spec.owner) }),
})
