// What a job embedded: counts, what is missing and why, and the Parquet file to download.

import { get } from "./service.js";
import { fileLink } from "./downloads.js";
import { bytes, card, facts, h, row, table } from "./elements.js";

const REASONS_SHOWN = 20;

export class EmbeddedView {
  constructor(jobId) {
    this.path = `/v1/jobs/${jobId}/embeddings`;
    this.body = h("div", {}, h("p", { class: "dim" }, "They are here as soon as the job has succeeded."));
    this.node = card("Embeddings", this.body);
    this.node.hidden = true; // until the job is known to embed
  }

  /** Shows the summary once there is one; it never changes after that. */
  async load(job, signal) {
    if (this.isShown || job.status !== "succeeded") return;
    const summary = await get(this.path, signal);
    this.isShown = true;
    const files = summary.files.map(({ name, size, sha256 }) => row(
      fileLink(`${this.path}/${name}`, name), bytes(size), h("code", { title: sha256 }, sha256.slice(0, 12))));
    this.body.replaceChildren(
      facts({
        Windows: summary.windows.toLocaleString("en"),
        Rows: `${summary.rows.toLocaleString("en")}, one per ${summary.granularity}`,
        Refused: summary.refused ? summary.refused.toLocaleString("en") : null,
      }),
      h("p", {}, h("a", { href: `#/jobs/${job.id}/map` }, "Map"), ": every window as a point, coloured by any label, with its signal and the windows nearest to it."),
      table(["File", "Size", "sha256"], files, { rowsOnPhones: true }),
      ...missing("Recordings that could not be read", summary.unreadable),
      ...missing("Files that are no usable recordings", summary.skipped));
  }
}

function missing(title, reasons) {
  const entries = Object.entries(reasons);
  if (!entries.length) return [];
  const shown = entries.slice(0, REASONS_SHOWN).map(([name, reason]) => row(name, reason));
  const rest = entries.length - shown.length;
  return [h("details", {}, h("summary", {}, `${title}: ${entries.length}`), table(["Name", "Reason"], shown),
    rest > 0 ? h("p", { class: "dim" }, `and ${rest} more in the summary`) : null)];
}
