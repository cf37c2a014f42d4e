// The report of an evaluation: a table of scores per label, and its pictures.

import { fetchPicture, get } from "./service.js";
import { card, h, number, row, table, words as plainWords } from "./elements.js";

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
    this.body.replaceChildren(...report.labels.map(labelSection),
      h("div", { class: "pictures" }, pictures.map((file) => this.picture(file, signal))));
  }

  picture({ name }, signal) {
    const image = h("img", { alt: words(name.replace(/\.png$/, "")) });
    fetchPicture(`${this.path}/${name}`, signal).then((url) => { image.src = url; }, () => image.replaceWith(`${name} cannot be shown`));
    return image;
  }
}

function labelSection({ label, task, windows, subjects, scores, comparison, label_efficiency, robustness }) {
  const metrics = [...new Set(Object.values(scores).flatMap(Object.keys))];
  const rows = Object.entries(scores).map(([name, values]) => row(words(name), ...metrics.map((metric) => cell(interval(values[metric])))));
  return h("section", {},
    h("h3", {}, label),
    h("p", { class: "dim" }, `${words(task)}, ${windows.toLocaleString("en")} windows of ${subjects} people; 95 % intervals over people`),
    h("p", {}, `The encoder beside ${words(comparison.reference).toLowerCase()}, the best of the others: `, h("strong", {}, comparison.verdict),
      `; ${words(comparison.metric).toLowerCase()} differs by ${interval(comparison.difference)}`),
    table(["Predicted from", ...metrics.map(words)], rows),
    crossed("Labels of few people", label_efficiency, ({ share, people }) => (share === null ? "" : `${number(100 * share)} % = `) + `${number(people, 3)} people`,
      ({ score }) => interval(score)),
    crossed("Corrupted windows", robustness, ({ condition }) => condition,
      ({ score, ratio_to_clean }) => `${interval(score)}, ${number(ratio_to_clean, 3)} x`));
}

/** A table of points with one row per `rowOf` and one column per representation; null where there is none. */
function crossed(title, points, rowOf, textOf) {
  if (!points.length) return null;
  const columns = [...new Set(points.map((point) => point.representation))];
  const rows = [...new Set(points.map(rowOf))].map((name) => row(name, ...columns.map((column) => {
    const point = points.find((found) => found.representation === column && rowOf(found) === name);
    return cell(point ? textOf(point) : "–");
  })));
  return table([`${title} (${words(points[0].metric).toLowerCase()})`, ...columns.map(words)], rows);
}

const cell = (text) => h("td", { class: "number" }, text);

const interval = (score) => (score ? `${number(score.value, 3)} (${number(score.low, 3)} to ${number(score.high, 3)})` : "–");

const NAMES = { mae: "Mean absolute error", pearson_r: "Pearson's r", auroc: "AUROC" };

const words = (name) => NAMES[name] ?? plainWords(name);
