// Embed a file: its signal, and of each of its windows quality, embedding as a picture, and the nearest windows that a job embedded.

import { choose, chosen } from "./address.js";
import { card, facts, field, h, number } from "./elements.js";
import { Chart } from "./chart.js";
import { NearestList } from "./nearest.js";
import { readRecording } from "./recording.js";
import { get, post, postSamples } from "./service.js";

const COLUMNS = 32;
const CELL = 14;
const NEAREST = 6;
const JOBS_OFFERED = 200;
const PPG = /ppg|pleth|bvp/i;
const MOST_WINDOWS = 1000; // embedded at once

export async function showEmbed(main, signal) {
  const page = new EmbedPage(signal);
  main.replaceChildren(h("h1", {}, "Embed a recording"), ...page.nodes);
  signal.addEventListener("abort", () => page.chart.close());
  await page.offerModels();
}

class EmbedPage {
  constructor(signal) {
    this.signal = signal;
    this.file = h("input", { type: "file", accept: ".csv,.tsv,.txt,.npy,.f32,.bin,.raw", onchange: () => this.take(this.file.files[0]) });
    this.zone = h("label", { class: "zone" }, "Drop a file here, or choose one: CSV, text, NPY or raw float32", this.file);
    this.zone.addEventListener("dragover", (event) => event.preventDefault());
    this.zone.addEventListener("drop", (event) => { event.preventDefault(); this.take(event.dataTransfer.files[0]); });
    this.model = h("select", { onchange: () => { choose({ model: this.model.value, in: null }); this.offerJobs(); this.embed(); } });
    this.rate = h("input", { type: "number", min: 1, max: 10000, step: "any", value: chosen("fs") ?? 125,
      onchange: () => { choose({ fs: this.rate.value }); this.embed(); } });
    this.channel = h("select", { disabled: true, onchange: () => this.embed() });
    this.length = h("input", { type: "number", min: 2, step: "any", value: chosen("window") ?? "",
      onchange: () => { choose({ window: this.length.value }); this.embed(); } });
    this.problem = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.chart = new Chart("Signal", { place: (at) => `${number(at, 6)} s` });
    this.window = h("input", { type: "range", min: 0, max: 0, value: 0, "aria-label": "Window", oninput: () => this.tellOf(() => this.pick()) });
    this.told = h("output", { class: "number" });
    this.windows = h("div", { class: "setting" }, h("label", {}, "Window", h("div", { class: "bar" }, this.window)), this.told);
    this.answer = h("div", { class: "report" });
    this.jobs = h("select", { "aria-label": "Look among", onchange: () => { choose({ in: this.jobs.value }); this.tellOf(() => this.findNearest()); } });
    this.nearest = h("div");
    this.results = [card("Signal", this.chart.node, this.windows), card("Embedding", this.answer),
      h("section", { class: "card", "aria-label": "Nearest windows" }, h("div", { class: "bar" }, h("h2", {}, "Nearest windows"), h("div", { class: "tools" }, this.jobs)), this.nearest)];
    for (const result of this.results) result.hidden = true;
    this.nodes = [
      h("section", { class: "card", "aria-label": "Recording" }, this.zone,
        h("div", { class: "fields" }, field("Sampling rate, Hz", this.rate), field("Channel", this.channel), field("Encoder", this.model), field("Windows, seconds", this.length)),
        this.problem),
      ...this.results];
  }

  async offerModels() {
    const [models, jobs] = await Promise.all([get("/v1/models?limit=200", this.signal),
      get(`/v1/jobs?kind=embed&status=succeeded&limit=${JOBS_OFFERED}`, this.signal)]);
    this.embedded = jobs.data;
    this.models = new Map(models.data.flatMap((found) => [found.id, ...found.aliases].map((name) => [name, found])));
    const label = (name, found) => (name === found.id ? found.name ?? name : name);
    this.model.replaceChildren(...[...this.models].map(([name, found]) => h("option", { value: name }, label(name, found))));
    if (this.models.has(chosen("model"))) this.model.value = chosen("model");
    this.offerJobs();
  }

  /** Jobs whose embeddings can be compared with those of the chosen encoder, and how long its windows are. */
  offerJobs() {
    const model = this.models.get(this.model.value);
    this.length.placeholder = model ? model.window_samples / model.fs_hz : "";
    const comparable = this.embedded.filter(({ config }) => config.encoder.sha256 === model?.sha256);
    this.jobs.hidden = !comparable.length;
    this.jobs.replaceChildren(...comparable.map(({ id, name, dataset }) => h("option", { value: id }, name ?? `${dataset}, ${id}`)));
    if (comparable.some(({ id }) => id === chosen("in"))) this.jobs.value = chosen("in");
  }

  async take(file) {
    if (!file) return;
    await this.tellOf(async () => {
      this.channels = await readRecording(file);
      this.channel.replaceChildren(...this.channels.map(({ name }, index) => h("option", { value: index }, name)));
      const named = this.channels.findIndex(({ name }) => PPG.test(name));
      this.channel.value = named < 0 ? this.channels.length - 1 : named; // a time comes first where there is one
      this.channel.disabled = this.channels.length < 2;
      await this.embed();
    });
  }

  async embed() {
    if (!this.channels) return;
    await this.tellOf(async () => {
      const { name, samples } = this.channels[this.channel.value];
      this.fs = Number(this.rate.value);
      if (!(this.fs > 0)) throw new Error(`Sampling rate: expected a number above 0, got '${this.rate.value}'`);
      for (const result of this.results) result.hidden = false;
      this.answer.replaceChildren(h("p", { class: "dim" }, "Being computed …"));
      this.nearest.replaceChildren();
      this.chart.range = null;
      this.chart.show(name, [{ name, color: "--train", width: 1.2, points: Array.from(samples, (value, index) => [index / this.fs, value]) }]);
      const { count, size } = this.cut(samples);
      const path = `/v1/embeddings?${new URLSearchParams({ model: this.model.value, fs_hz: this.fs, windows: count })}`;
      const asked = (this.asked = Symbol("a later file replaces it"));
      const answer = await postSamples(path, samples.slice(0, count * size));
      if (asked !== this.asked) return;
      this.found = { ...answer, count, seconds: size / this.fs, samples: samples.length };
      Object.assign(this.window, { max: count - 1, value: 0 });
      this.windows.hidden = count === 1;
      await this.pick();
    });
  }

  /** Windows side by side; what fits only once is one window, however long, and else what is left at the end is left out. */
  cut(samples) {
    const size = Math.round(Number(this.length.value || this.length.placeholder) * this.fs);
    if (samples.length < 2 * size) return { count: 1, size: samples.length };
    return { count: Math.min(MOST_WINDOWS, Math.floor(samples.length / size)), size };
  }

  async pick() {
    const at = Number(this.window.value);
    const { data, count, seconds } = this.found;
    this.told.textContent = `${at + 1} of ${count}, from ${number(at * seconds)} s`;
    this.window.setAttribute("aria-valuetext", `window ${at + 1} of ${count}`);
    if (count > 1) this.chart.look({ min: at * seconds, max: (at + 1) * seconds });
    this.show(data[at]);
    await this.findNearest();
  }

  show({ embedding, quality, error }) {
    const { samples, dim, encoder_sha256: sha256, count, seconds } = this.found;
    if (error) {
      this.answer.replaceChildren(h("p", { class: "notice bad" }, error.message));
      return;
    }
    this.answer.replaceChildren(
      facts({ "Signal quality": `${number(quality, 3)} of 1`, Samples: samples.toLocaleString("en"), Length: `${number(samples / this.fs)} s`,
        Windows: count > 1 ? `${count.toLocaleString("en")} of ${number(seconds)} s` : null, Dimensions: dim, "Encoder's sha256": sha256.slice(0, 12) }),
      picture(embedding),
      h("p", { class: "dim" }, "A square per dimension, row by row; two colours for the two signs, the stronger the larger."),
      h("details", {}, h("summary", {}, "As numbers"), h("textarea", { readonly: true, rows: 6, "aria-label": "Embedding", value: JSON.stringify(embedding) })));
  }

  async findNearest() {
    const { embedding } = this.found?.data[this.window.value] ?? {};
    if (!embedding) {
      this.nearest.replaceChildren();
      return;
    }
    if (!this.jobs.value) {
      this.nearest.replaceChildren(h("p", { class: "dim" }, "Nothing to look among: no job has embedded a dataset or recordings with this encoder. Submit one under ",
        h("a", { href: "#/" }, "Jobs"), ", New job, Embed recordings."));
      return;
    }
    const wanted = (this.wanted = Symbol("a later window replaces it"));
    const { data } = await post(`/v1/jobs/${this.jobs.value}/embeddings/nearest`, { embeddings: [embedding], encoder_sha256: this.found.encoder_sha256, k: NEAREST });
    if (wanted !== this.wanted) return;
    const job = this.jobs.value;
    const list = new NearestList(job, this.signal, ({ row }) => h("a", { href: `#/jobs/${job}/map?row=${row}`, "aria-label": `Row ${row} on the map` }, "on the map"));
    list.show(data[0]);
    this.nearest.replaceChildren(list.node);
  }

  async tellOf(work) {
    this.problem.hidden = true;
    try {
      await work();
    } catch (error) {
      this.problem.textContent = error.message;
      this.problem.hidden = false;
      this.answer.replaceChildren();
    }
  }
}

function picture(embedding) {
  const largest = Math.max(...embedding.map(Math.abs));
  const [low, high] = [Math.min(...embedding), Math.max(...embedding)];
  const canvas = h("canvas", { class: "picture", role: "img", width: COLUMNS * CELL, height: Math.ceil(embedding.length / COLUMNS) * CELL,
    "aria-label": `Embedding of ${embedding.length} numbers from ${number(low, 3)} to ${number(high, 3)}` });
  const brush = canvas.getContext("2d");
  const colors = ["--train", "--val"].map((name) => getComputedStyle(document.documentElement).getPropertyValue(name));
  embedding.forEach((value, index) => {
    brush.fillStyle = colors[value < 0 ? 0 : 1];
    brush.globalAlpha = Math.abs(value) / (largest || 1);
    brush.fillRect((index % COLUMNS) * CELL, Math.floor(index / COLUMNS) * CELL, CELL - 1, CELL - 1);
  });
  return canvas;
}
