/**
 * How a document is put out. `raw`: as the target's tools take it. `base64`: the document encoded once. `launch-template`:
 * the JSON that the platform's API takes. `terraform`: a local value. `cli`: a script that starts a machine.
 */
export const outputForms = ['raw', 'base64', 'launch-template', 'terraform', 'cli'] as const

export type OutputForm = (typeof outputForms)[number]
