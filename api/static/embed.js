// Embed a file: its signal, its quality, and the embedding as a picture.

import { choose, chosen } from "./address.js";
import { card, facts, field, h, number } from "./elements.js";
import { Chart } from "./chart.js";
import { readRecording } from "./recording.js";
import { get, postSamples } from "./service.js";

const COLUMNS = 32;
const CELL = 14;

export async function showEmbed(main, signal) {
  const page = new EmbedPage();
  main.replaceChildren(h("h1", {}, "Embed a recording"), ...page.nodes);
  signal.addEventListener("abort", () => page.chart.close());
  await page.offerModels(signal);
}

class EmbedPage {
  constructor() {
    this.file = h("input", { type: "file", accept: ".csv,.tsv,.txt,.npy,.f32,.bin,.raw", onchange: () => this.take(this.file.files[0]) });
    this.zone = h("label", { class: "zone" }, "Drop a file here, or choose one: CSV, text, NPY or raw float32", this.file);
    this.zone.addEventListener("dragover", (event) => event.preventDefault());
    this.zone.addEventListener("drop", (event) => { event.preventDefault(); this.take(event.dataTransfer.files[0]); });
    this.model = h("select", { onchange: () => { choose({ model: this.model.value }); this.embed(); } });
    this.rate = h("input", { type: "number", min: 1, max: 10000, step: "any", value: chosen("fs") ?? 125,
      onchange: () => { choose({ fs: this.rate.value }); this.embed(); } });
    this.channel = h("select", { disabled: true, onchange: () => this.embed() });
    this.problem = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.chart = new Chart("Signal", { place: (at) => `${number(at, 6)} s` });
    this.answer = h("div", { class: "report" });
    this.results = [card("Signal", this.chart.node), card("Embedding", this.answer)];
    for (const result of this.results) result.hidden = true;
    this.nodes = [
      h("section", { class: "card", "aria-label": "Recording" }, this.zone,
        h("div", { class: "fields" }, field("Sampling rate, Hz", this.rate), field("Channel", this.channel), field("Encoder", this.model)),
        this.problem),
      ...this.results];
  }

  async offerModels(signal) {
    const { data } = await get("/v1/models?limit=200", signal);
    const names = data.flatMap((found) => [[found.id, found.name ?? found.id], ...found.aliases.map((alias) => [alias, alias])]);
    this.model.replaceChildren(...names.map(([value, label]) => h("option", { value }, label)));
    const wanted = chosen("model");
    if (names.some(([value]) => value === wanted)) this.model.value = wanted;
  }

  async take(file) {
    if (!file) return;
    await this.tellOf(async () => {
      this.channels = await readRecording(file);
      this.channel.replaceChildren(...this.channels.map(({ name }, index) => h("option", { value: index }, name)));
      this.channel.value = this.channels.length - 1; // a time comes first where there is one
      this.channel.disabled = this.channels.length < 2;
      await this.embed();
    });
  }

  async embed() {
    if (!this.channels) return;
    await this.tellOf(async () => {
      const { name, samples } = this.channels[this.channel.value];
      const fs = Number(this.rate.value);
      if (!(fs > 0)) throw new Error(`Sampling rate: expected a number above 0, got '${this.rate.value}'`);
      for (const result of this.results) result.hidden = false;
      this.answer.replaceChildren(h("p", { class: "dim" }, "Being computed …"));
      this.chart.show(name, [{ name, color: "--train", width: 1.2, points: Array.from(samples, (value, index) => [index / fs, value]) }]);
      const path = `/v1/embeddings?${new URLSearchParams({ model: this.model.value, fs_hz: fs, windows: 1 })}`;
      const { data, dim, encoder_sha256 } = await postSamples(path, samples);
      this.show(data[0], { Samples: samples.length.toLocaleString("en"), Length: `${number(samples.length / fs)} s`, Dimensions: dim, "Encoder's sha256": encoder_sha256.slice(0, 12) });
    });
  }

  show({ embedding, quality }, told) {
    this.answer.replaceChildren(
      facts({ "Signal quality": `${number(quality, 3)} of 1`, ...told }),
      picture(embedding),
      h("p", { class: "dim" }, "A square per dimension, row by row; two colours for the two signs, the stronger the larger."),
      h("details", {}, h("summary", {}, "As numbers"), h("textarea", { readonly: true, rows: 6, "aria-label": "Embedding", value: JSON.stringify(embedding) })));
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
