import { html, type Html, type HtmlPart } from './html.ts'

export interface TableColumn {
  readonly header: string
  /** Numbers stand to the right. */
  readonly numeric?: boolean
  /** Sentences need room, even where the page has little. */
  readonly prose?: boolean
}

/** A table whose first column names the row. It scrolls by itself where it is wider than the page, by keyboard too. */
export function table(caption: string, columns: readonly TableColumn[], rows: readonly (readonly HtmlPart[])[]): Html {
  const className = (index: number) =>
    columns[index]?.numeric === true ? 'number' : columns[index]?.prose === true ? 'prose' : 'text'
  return html`<div class="scroll" role="region" aria-label="${caption}" tabindex="0">
    <table>
      <caption>
        ${caption}
      </caption>
      <thead>
        <tr>
          ${columns.map(({ header }, index) => html`<th scope="col" class="${className(index)}">${header}</th>`)}
        </tr>
      </thead>
      <tbody>
        ${rows.map(
          (row) =>
            html`<tr>
              ${row.map((cell, index) =>
                index === 0 ? html`<th scope="row">${cell}</th>` : html`<td class="${className(index)}">${cell}</td>`,
              )}
            </tr> `,
        )}
      </tbody>
    </table>
  </div>`
}

/** A chart with what it says in words; its table follows it. */
export function figure(chart: Html, caption: HtmlPart): Html {
  return html`<figure>
    ${chart}
    <figcaption>${caption}</figcaption>
  </figure>`
}

/** Something long that most readers skip; open when printed. */
export function folded(summary: HtmlPart, content: HtmlPart): Html {
  return html`<details>
    <summary>${summary}</summary>
    ${content}
  </details>`
}

/** One part of the page. `lead` says in a sentence what is to be seen. */
export function section(id: string, title: string, lead: HtmlPart, content: HtmlPart): Html {
  return html`<section id="${id}" aria-labelledby="${id}-title">
    <h2 id="${id}-title">${title}</h2>
    <p class="lead">${lead}</p>
    ${content}
  </section> `
}

export interface LegendEntry {
  /** The colour's CSS class, `c-…`. */
  readonly colour: string
  readonly label: string
}

export function legend(entries: readonly LegendEntry[]): Html {
  return html`<ul class="legend" aria-label="Colours">
    ${entries.map(({ colour, label }) => html`<li><span class="swatch ${colour}"></span>${label}</li>`)}
  </ul>`
}

/** `1 boot`, `12 boots`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return count === 1 ? one : many
}

/** An image id or digest, breakable where it is long. */
export function code(text: string): Html {
  return html`<code>${text}</code>`
}

/** A moment as people write it: `2026-11-20 10:09 UTC`. */
export function moment(iso: string): Html {
  return html`<time datetime="${iso}"
    ><span class="whole">${iso.slice(0, 10)}</span> <span class="whole">${iso.slice(11, 16)} UTC</span></time
  >`
}
