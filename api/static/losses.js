// The loss curves of a job as they grow, beside those of other jobs; what is shown stands in the address.

import { get } from "./service.js";
import { choose, chosen } from "./address.js";
import { h, words } from "./elements.js";
import { Chart } from "./chart.js";

const FIRST = ["total", "mse", "ssim", "fft"];
const LAST = ["learning_rate", "grad_norm"];
const MAX_POINTS = 4000;
const DOTS_UP_TO = 60;
const OFFERED = 100;
const COLORS = 6; // --job-1 ... in style.css

/** A job's points by split and step, asked for once and then only for news. */
class Points {
  constructor(id) {
    this.id = id;
    this.ofSplit = { train: new Map(), val: new Map() };
    this.newest = -1;
  }

  async load(signal) {
    const { data } = await get(`/v1/jobs/${this.id}/losses?max_points=${MAX_POINTS}&after_step=${this.newest}`, signal);
    for (const { step, epoch, split, ...values } of data) this.add({ step, epoch, split, values });
  }

  add(point) {
    this.ofSplit[point.split]?.set(point.step, point);
    this.newest = Math.max(this.newest, point.step);
  }

  sorted(split) {
    return [...this.ofSplit[split].values()].sort((a, b) => a.step - b.step);
  }

  curve(split, name) {
    return this.sorted(split).filter((point) => name in point.values).map((point) => [point.step, point.values[name]]);
  }
}

export class LossesCard {
  constructor(id) {
    this.points = new Points(id);
    this.others = new Map(); // by id: {name, points}
    const redraw = () => { this.remember(); this.draw(); };
    this.value = h("select", { "aria-label": "Value", onchange: redraw });
    this.isLog = h("input", { type: "checkbox", onchange: redraw });
    this.isLog.checked = chosen("log") === "1";
    this.smoothing = h("input", { type: "range", min: 0, max: 0.99, step: 0.01, value: chosen("smooth") ?? 0, oninput: redraw });
    this.other = h("select", { "aria-label": "Compare with", onfocus: () => this.offerOthers(), onchange: () => this.compare(this.other.value).catch((problem) => alert(problem.message)) },
      h("option", { value: "" }, "Compare with …"));
    this.compared = h("p", { class: "tools" });
    this.chart = new Chart("Losses", { place: (step) => `step ${step.toLocaleString("en")}` });
    this.node = h("section", { class: "card", "aria-label": "Losses" },
      h("div", { class: "bar" }, h("h2", {}, "Losses"),
        h("div", { class: "tools" }, this.value, h("label", { class: "inline" }, this.isLog, "log scale"),
          h("label", { class: "inline" }, "smoothing", this.smoothing), this.other)),
      this.compared, this.chart.node);
  }

  close() {
    this.chart.close();
  }

  // ------------------------------------------------------------------------------------- loading

  async load(signal) {
    await this.points.load(signal);
    const ids = (chosen("with") ?? "").split(",").filter(Boolean);
    const found = await Promise.all(ids.map((id) => besides(id, signal).catch(() => null))); // a deleted job is no longer compared
    signal.throwIfAborted(); // the address is that of another page by now
    for (const other of found.filter(Boolean)) this.others.set(other.points.id, other);
    this.remember();
    this.draw();
  }

  /** News of the jobs beside; those of the job itself come as events. */
  async refresh(signal) {
    if (!this.others.size) return;
    await Promise.all([...this.others.values()].map(({ points }) => points.load(signal)));
    this.draw();
  }

  async offerOthers() {
    const { data } = await get(`/v1/jobs?kind=pretrain&limit=${OFFERED}`);
    const offered = data.filter(({ id }) => id !== this.points.id && !this.others.has(id));
    this.other.replaceChildren(h("option", { value: "" }, offered.length ? "Compare with …" : "No other job to compare with"),
      ...offered.map((job) => h("option", { value: job.id }, job.name ?? job.id)));
  }

  async compare(id) {
    if (!id) return;
    this.other.value = "";
    this.others.set(id, await besides(id));
    this.remember();
    this.draw();
  }

  leaveOut(id) {
    this.others.delete(id);
    this.remember();
    this.draw();
    this.other.focus();
  }

  add(point) {
    this.points.add(point);
    this.frame ??= requestAnimationFrame(() => { this.frame = undefined; this.draw(); });
  }

  remember() {
    choose({
      value: this.value.value === FIRST[0] ? null : this.value.value || chosen("value"),
      log: this.isLog.checked ? "1" : null,
      smooth: Number(this.smoothing.value) ? this.smoothing.value : null,
      with: [...this.others.keys()].join(","),
    });
  }

  // ------------------------------------------------------------------------------------- showing

  validations() {
    return this.points.sorted("val");
  }

  /** Names of what is measured on training and validation, or on training alone. */
  names() {
    return Object.keys(this.points.sorted("train").at(-1)?.values ?? {});
  }

  draw() {
    this.offerValues();
    const name = this.value.value;
    const curves = this.others.size
      ? [this.points, ...[...this.others.values()].map(({ points }) => points)].flatMap((points, index) =>
        this.curves(points, name, index ? `${this.others.get(points.id).name}, ` : "this job, ", `--job-${(index % COLORS) + 1}`))
      : this.curves(this.points, name, "", null);
    this.chart.show(words(name || FIRST[0]), curves, { isLog: this.isLog.checked });
    this.showCompared();
  }

  curves(points, name, prefix, tint) {
    const [train, val] = [points.curve("train", name), points.curve("val", name)];
    const weight = Number(this.smoothing.value);
    const trained = { name: `${prefix}training`, color: tint ?? "--train", width: tint ? 1 : 1.6 };
    return [
      ...(weight ? [{ ...trained, points: train, unnamed: true }] : []),
      { ...trained, points: smoothed(train, weight) },
      { name: `${prefix}validation`, color: tint ?? "--val", width: 2.2, dots: val.length <= DOTS_UP_TO, points: val },
    ].filter((curve) => curve.points.length);
  }

  offerValues() {
    const names = new Set([...this.names(), ...Object.keys(this.validations().at(-1)?.values ?? {})]);
    const rest = [...names].filter((name) => !FIRST.includes(name) && !LAST.includes(name));
    const ordered = [...FIRST.filter((name) => names.has(name)), ...rest, ...LAST.filter((name) => names.has(name))];
    if (ordered.length === this.value.options.length) return;
    const wanted = this.value.value || chosen("value");
    this.value.replaceChildren(...ordered.map((name) => h("option", { value: name }, words(name))));
    this.value.value = ordered.includes(wanted) ? wanted : ordered[0];
  }

  showCompared() {
    const ids = [...this.others.keys()].join();
    if (ids === this.shownIds) return; // a button that has the focus stays
    this.shownIds = ids;
    this.compared.hidden = !ids;
    this.compared.replaceChildren(...[...this.others].map(([id, { name }], index) =>
      h("span", { class: "chip", "data-color": `job-${((index + 1) % COLORS) + 1}` }, h("a", { href: `#/jobs/${id}` }, name),
        h("button", { class: "small", "aria-label": `Leave out ${name}`, onclick: () => this.leaveOut(id) }, "×"))));
  }
}

/** Another job's name and points. */
async function besides(id, signal) {
  const job = await get(`/v1/jobs/${id}`, signal);
  const points = new Points(id);
  await points.load(signal);
  return { name: job.name ?? id, points };
}

/** Exponential moving average, without the pull towards 0 at its start. */
function smoothed(points, weight) {
  let [sum, mass] = [0, 0];
  return points.map(([x, y]) => {
    if (!Number.isFinite(y)) return [x, y];
    sum = weight * sum + (1 - weight) * y;
    mass = weight * mass + (1 - weight);
    return [x, sum / mass];
  });
}
