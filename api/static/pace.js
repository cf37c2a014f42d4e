// How fast a job goes and how loaded its device is, as one curve over its steps.

import { get } from "./service.js";
import { choose, chosen } from "./address.js";
import { h } from "./elements.js";
import { Chart } from "./chart.js";

const GIB = 2 ** 30;

// In the order in which they are offered; `of` gives the value that is drawn.
const FIGURES = {
  windows_per_s: { title: "Windows per second", unit: "windows/s" },
  step_s: { title: "Time per step", unit: "s" },
  learning_rate: { title: "Learning rate", unit: "" },
  device_memory_bytes: { title: "Device's memory in use", unit: "GiB", of: (bytes) => bytes / GIB },
  device_utilisation: { title: "Device's utilisation", unit: "%", of: (share) => 100 * share },
};
const FIRST = "windows_per_s";
const REFRESH_MS = 10_000;

export class PaceCard {
  constructor(id) {
    this.path = `/v1/jobs/${id}/progress`;
    this.stretches = [];
    this.askAt = 0;
    this.figure = h("select", { "aria-label": "Figure", onchange: () => { choose({ pace: this.figure.value === FIRST ? null : this.figure.value }); this.draw(); } });
    this.chart = new Chart("Pace", { place: (step) => `step ${step.toLocaleString("en")}` });
    this.node = h("section", { class: "card", "aria-label": "Pace", hidden: true },
      h("div", { class: "bar" }, h("h2", {}, "Pace"), h("div", { class: "tools" }, this.figure)), this.chart.node);
  }

  close() {
    this.chart.close();
  }

  /** All of it anew, now and then: stretches that were told before may have been joined. */
  async load(signal) {
    if (Date.now() < this.askAt) return;
    this.askAt = Date.now() + REFRESH_MS;
    this.stretches = (await get(this.path, signal)).data;
    this.draw();
  }

  draw() {
    this.offer();
    this.node.hidden = !this.figure.options.length;
    if (this.node.hidden) return;
    const { title, unit, of = (value) => value } = FIGURES[this.figure.value];
    const known = this.stretches.filter((stretch) => Number.isFinite(stretch[this.figure.value]));
    this.chart.show(title, [{ name: unit, color: "--val", points: known.map((stretch) => [stretch.step, of(stretch[this.figure.value])]) }]);
  }

  /** Offers what is known of this job: a CPU tells no load. */
  offer() {
    const known = Object.keys(FIGURES).filter((name) => this.stretches.some((stretch) => Number.isFinite(stretch[name])));
    if (known.length === this.figure.options.length) return;
    const wanted = this.figure.value || chosen("pace");
    this.figure.replaceChildren(...known.map((name) => h("option", { value: name }, FIGURES[name].title)));
    this.figure.value = known.includes(wanted) ? wanted : known[0];
  }
}
