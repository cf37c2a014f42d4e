// The report of an evaluation: a table of scores per label, and its pictures.

import { fetchPicture, get } from "./service.js";
import { card, h, row, table } from "./elements.js";
import { number } from "./chart.js";

export class ReportView {
  constructor(jobId) {
    this.path = `/v1/jobs/${jobId}/report`;
    this.body = h("div", { class: "report" }, h("p", { class: "dim" }, "It is here as soon as the evaluation has succeeded."));
    this.node = card("Report", this.body);
    this.node.hidden = true; // until the job is known to be an evaluation
  }

  /** Shows the report once there is one; it never changes after that. */
  async load(job, signal) {
    if (this.isShown || job.status !== "succeeded") return;
    const report = await get(this.path, signal);
    this.isShown = true;
    const pictures = report.files.filter(({ name }) => name.endsWith(".png"));
    this.body.replaceChildren(...report.labels.map(scores), ...pictures.map((file) => this.picture(file, signal)));
  }

  picture({ name }, signal) {
    const image = h("img", { alt: words(name.replace(/\.png$/, "")) });
    fetchPicture(`${this.path}/${name}`, signal).then((url) => { image.src = url; }, () => image.replaceWith(`${name} cannot be shown`));
    return image;
  }
}

function scores({ label, task, windows, subjects, scores }) {
  const metrics = [...new Set(Object.values(scores).flatMap(Object.keys))];
  const rows = Object.entries(scores).map(([name, values]) =>
    row(words(name), ...metrics.map((metric) => h("td", { class: "number" }, interval(values[metric])))));
  return h("section", {},
    h("h3", {}, label),
    h("p", { class: "dim" }, `${task}, ${windows.toLocaleString("en")} windows of ${subjects} subjects; 95 % intervals over subjects`),
    table(["Predicted from", ...metrics.map(words)], rows));
}

const interval = (score) => (score ? `${number(score.value, 3)} (${number(score.low, 3)} to ${number(score.high, 3)})` : "–");

const words = (name) => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");
