// What a run makes of a few held-out windows, epoch by epoch; epoch, window and part stand in the address.

import { get, pause } from "./service.js";
import { choose, chosen } from "./address.js";
import { facts, field, h, number, percent, words } from "./elements.js";
import { Chart, withDetail } from "./chart.js";

const COLORS = { input: "--job-6", target: "--train", output: "--val", residual: "--bad" };
const MAX_POINTS = 4000;
const SETTLED_MS = 120;
const UP_TO_S = 20; // of a long window that are shown at first

export async function showReconstructions(main, id, signal, repeat) {
  const page = new ReconstructionsPage(id, signal);
  const job = await get(`/v1/jobs/${id}`, signal);
  main.replaceChildren(h("h1", {}, "Reconstructions of ", h("a", { href: `#/jobs/${id}` }, job.name ?? id)), ...page.nodes);
  signal.addEventListener("abort", () => page.close());
  await repeat(() => page.refresh(), signal);
}

class ReconstructionsPage {
  constructor(id, signal) {
    this.path = `/v1/jobs/${id}/reconstructions`;
    this.signal = signal;
    this.epochs = [];
    this.windows = [];
    this.isLog = h("input", { type: "checkbox", onchange: () => this.draw() });
    this.isLog.checked = true;
    this.slider = h("input", { type: "range", min: 0, max: 0, step: 1, "aria-label": "Epoch", oninput: () => this.pick() });
    this.told = h("output", { class: "number" });
    this.window = h("select", { onchange: () => { choose({ window: this.window.value === "0" ? null : this.window.value }); this.show(); } });
    this.shown = Object.fromEntries(Object.keys(COLORS).map((name) => [name, h("input", { type: "checkbox", onchange: () => this.draw() })]));
    for (const name of ["target", "output"]) this.shown[name].checked = true;
    this.facts = h("div");
    this.chart = new Chart("Signals", { place: (at) => `${number(at, 6)} s`, onZoom: (range) => this.look(range) });
    this.spectrum = new Chart("Spectra", { place: (at) => `${number(at, 3)} Hz` });
    this.empty = h("p", { class: "notice" }, "None yet: the first are there when the first epoch was validated.");
    this.body = h("section", { class: "card", "aria-label": "Signals", hidden: true },
      h("div", { class: "fields" },
        h("div", { class: "setting" }, h("label", {}, "Epoch", h("div", { class: "bar" }, this.slider)), this.told), field("Window", this.window)),
      this.facts,
      h("div", { class: "tools", role: "group", "aria-label": "Curves" }, Object.entries(this.shown).map(([name, box]) => h("label", { class: "inline" }, box, name))),
      this.chart.node);
    this.spectra = h("section", { class: "card", "aria-label": "Spectra", hidden: true },
      h("div", { class: "bar" }, h("h2", {}, "Spectra"), h("div", { class: "tools" }, h("label", { class: "inline" }, this.isLog, "log scale"))),
      this.spectrum.node,
      h("p", { class: "dim" }, "Power per hertz of the whole window, standardised. The target ends at 8 Hz; a pulse stands at its rate (1 Hz: 60 beats a minute) and at multiples of it."));
    this.nodes = [this.empty, this.body, this.spectra];
  }

  close() {
    this.chart.close();
    this.spectrum.close();
  }

  /** Follows a run: the newest epoch is shown until another one is chosen. */
  async refresh() {
    const { epochs, windows, fs_hz: fs, samples } = await get(this.path, this.signal);
    if (!epochs.length || String(epochs) === String(this.epochs)) return;
    this.epochs = epochs;
    this.samples = samples;
    this.length = samples / fs;
    if (!this.windows.length) this.offer(windows);
    this.slider.max = epochs.length - 1;
    const wanted = epochs.indexOf(Number(chosen("epoch")));
    this.slider.value = wanted < 0 ? epochs.length - 1 : wanted;
    await this.show();
  }

  offer(windows) {
    this.windows = windows;
    this.window.replaceChildren(...windows.map(({ window_id: id, recording_id: recording }, index) =>
      h("option", { value: index }, recording === null ? `window ${id}` : `window ${id} of ${recording}`)));
    if (windows[Number(chosen("window"))]) this.window.value = Number(chosen("window"));
    for (const node of [this.empty, this.body, this.spectra]) node.hidden = node === this.empty;
  }

  pick() {
    const epoch = this.epochs[this.slider.value];
    choose({ epoch: epoch === this.epochs.at(-1) ? null : epoch });
    this.show();
  }

  /** Fetches what is chosen; the last choice counts, however answers come in. */
  async show() {
    const epoch = this.epochs[this.slider.value];
    this.address = `${this.path}/${epoch}/${this.window.value}?max_points=${MAX_POINTS}`;
    this.told.textContent = `${epoch} of ${this.epochs.at(-1)}`;
    this.slider.setAttribute("aria-valuetext", `epoch ${epoch}`);
    const asked = (this.asked = Symbol("a later choice replaces it"));
    const found = await get(this.address, this.signal).catch((problem) => {
      if (problem.status !== 404) throw problem; // an epoch that has just been dropped
    });
    if (!found || asked !== this.asked) return;
    const isFirst = !this.found;
    this.found = found;
    this.curves = found.curves;
    this.draw();
    if (isFirst) this.lookAtFirst();
    else await this.look(this.chart.range);
  }

  /** Follows what the chart shows, and fetches the detail that a long window leaves out. */
  async look(range) {
    choose({ from: range?.min.toFixed(2) ?? null, to: range?.max.toFixed(2) ?? null });
    if (!range || this.samples <= MAX_POINTS) return;
    const looked = (this.looked = Symbol("a later look replaces it"));
    await pause(SETTLED_MS, this.signal);
    if (looked !== this.looked || this.signal.aborted) return;
    const { found } = this;
    const width = range.max - range.min;
    const part = await get(`${this.address}&from_s=${Math.max(0, range.min - width)}&to_s=${range.max + width}`, this.signal).catch(() => null);
    if (!part || looked !== this.looked || found !== this.found) return;
    this.curves = Object.fromEntries(Object.entries(found.curves).map(([name, whole]) => [name, withDetail(whole, part.curves[name])]));
    this.draw();
  }

  lookAtFirst() {
    const [from, to] = [Number(chosen("from")), Number(chosen("to"))];
    if (to > from) this.chart.look({ min: from, max: Math.min(to, this.length) });
    else if (this.length > UP_TO_S) this.chart.look({ min: 0, max: UP_TO_S });
  }

  draw() {
    if (!this.found) return;
    const { epoch, spectra, explained_variance: explained } = this.found;
    const window = this.windows[this.window.value];
    this.facts.replaceChildren(facts({
      "Explained variance": explained === null ? null : percent(explained), Recording: window.recording_id, Subject: window.subject_id,
      Start: window.start_s === null ? null : `${number(window.start_s)} s`, "Signal quality": window.sqi === null ? null : number(window.sqi, 3),
    }));
    const drawn = (sources) => Object.entries(COLORS).filter(([name]) => this.shown[name].checked)
      .map(([name, color]) => ({ name, color, width: name === "output" ? 2 : 1.2, points: sources[name] }));
    this.chart.show(`epoch ${epoch}`, drawn(this.curves));
    this.spectrum.show(words(`epoch ${epoch}`), drawn(spectra), { isLog: this.isLog.checked });
  }
}
