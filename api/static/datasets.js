// Datasets: a list, one of them with its splits, rejections, quality and windows, and one window's signals.

import { get, pause } from "./service.js";
import { choose, chosen } from "./address.js";
import { card, facts, h, number, row, table, update, words } from "./elements.js";
import { Chart, withDetail } from "./chart.js";

const SPLITS = ["train", "val", "test"];
const PAGE = 20;
const MAX_POINTS = 4000;
const SETTLED_MS = 120;

// ------------------------------------------------------------------------------------------- list

export async function showDatasets(main, signal, repeat) {
  const list = h("div", { class: "card" });
  main.replaceChildren(h("h1", {}, "Datasets"), list);
  await repeat(async () => {
    const { data } = await get("/v1/datasets?limit=1000", signal);
    update(list, data.length ? data.map(entry) : h("p", { class: "dim" }, "No datasets under the data root yet. Make one with ",
      h("code", {}, "ppgssl prepare"), "."));
  }, signal, 10_000);
}

function entry(dataset) {
  const name = h("h2", {}, dataset.error ? dataset.name : h("a", { href: address(dataset.name) }, dataset.name));
  if (dataset.error) return h("section", {}, name, h("p", { class: "notice bad" }, dataset.error.message));
  return h("section", { class: "report" }, name, figures(dataset), dataset.warnings.map((warning) => h("p", { class: "notice" }, warning)));
}

const address = (name, ...rest) => ["#/datasets", encodeURIComponent(name), ...rest].join("/");

const figures = (dataset) => facts({
  Window: `${number(dataset.window_samples / dataset.fs_hz)} s`,
  Rate: `${number(dataset.fs_hz)} Hz`,
  Training: dataset.counts.train?.toLocaleString("en"),
  Validation: dataset.counts.val?.toLocaleString("en"),
  Test: dataset.counts.test?.toLocaleString("en"),
  Recordings: dataset.recordings?.toLocaleString("en"),
  Rejected: dataset.rejected && sum(Object.values(dataset.rejected)).toLocaleString("en"),
});

const sum = (values) => values.reduce((total, value) => total + value, 0);

// -------------------------------------------------------------------------------------------- one

export async function showDataset(main, signal, encoded) {
  const path = `/v1/datasets/${encoded}`;
  const [dataset, { counts }] = await Promise.all([get(path, signal), get(`${path}/quality`, signal)]);
  const windows = new WindowList(dataset);
  main.replaceChildren(h("h1", {}, dataset.name),
    ...dataset.warnings.map((warning) => h("p", { class: "notice" }, warning)),
    card("What it holds", figures(dataset), splitTable(dataset)),
    card("Rejected windows", rejections(dataset)),
    card("Signal quality", qualityHistogram(counts)),
    windows.node);
  await windows.show(chosen("split") ?? "train");
}

const splitTable = ({ counts, subjects }) => table(["Split", "Windows", "People"],
  SPLITS.map((split) => row(words(split), ...[counts, subjects].map((found) => h("td", { class: "number" }, (found?.[split] ?? "–").toLocaleString("en"))))));

function rejections({ rejected, counts }) {
  const entries = Object.entries(rejected ?? {}).sort(([, a], [, b]) => b - a);
  if (!entries.length) return h("p", { class: "dim" }, rejected ? "None." : "This dataset does not tell.");
  const all = sum(entries.map(([, count]) => count)) + sum(Object.values(counts));
  return table(["Reason", "Windows", "Share of all"], entries.map(([reason, count]) => row(words(reason), h("td", { class: "number" }, count.toLocaleString("en")),
    h("span", {}, h("meter", { min: 0, max: 1, value: count / all, "aria-label": `share, ${reason}` }), ` ${(100 * count / all).toFixed(1)} %`))));
}

/** A column per twentieth; the same in words for those who do not see it. */
function qualityHistogram(counts) {
  const bins = Object.values(counts)[0]?.length;
  if (!bins) return h("p", { class: "dim" }, "This dataset has no quality of its windows.");
  const totals = Array.from({ length: bins }, (_, bin) => sum(Object.values(counts).map((split) => split[bin])));
  const highest = Math.max(...totals);
  const range = (bin) => `${(bin / bins).toFixed(2)} to ${((bin + 1) / bins).toFixed(2)}`;
  return h("div", {},
    h("div", { class: "histogram", role: "img", "aria-label": `Windows by signal quality; most, ${highest.toLocaleString("en")}, from ${range(totals.indexOf(highest))}` },
      totals.map((total, bin) => h("meter", { min: 0, max: highest, value: total, title: `${range(bin)}: ${total.toLocaleString("en")}` }))),
    h("p", { class: "bar dim" }, h("span", {}, "0 (noise)"), h("span", {}, "1 (clean pulse)")),
    h("details", {}, h("summary", {}, "As a table"), table(["Quality", ...Object.keys(counts).map(words)],
      totals.map((_, bin) => row(range(bin), ...Object.values(counts).map((split) => h("td", { class: "number" }, split[bin].toLocaleString("en"))))))));
}

class WindowList {
  constructor({ name, counts, labels }) {
    this.name = name;
    this.labels = labels;
    this.split = h("select", { "aria-label": "Split", onchange: () => this.show(this.split.value) },
      SPLITS.filter((split) => counts[split]).map((split) => h("option", { value: split }, words(split))));
    this.rows = h("tbody");
    this.more = h("button", { onclick: () => this.load() }, "Show more");
    const titles = ["Window", "Recording", "Subject", "Start", "Quality", ...labels.map(words)];
    this.node = h("section", { class: "card", "aria-label": "Windows" },
      h("div", { class: "bar" }, h("h2", {}, "Windows"), h("div", { class: "tools" }, this.split)),
      h("div", { class: "scroll", tabindex: 0, role: "group", "aria-label": "Table of windows" },
        h("table", {}, h("thead", {}, h("tr", {}, titles.map((title) => h("th", { scope: "col" }, title)))), this.rows)),
      h("div", {}, this.more));
  }

  async show(split) {
    this.split.value = split;
    choose({ split: split === "train" ? null : split });
    this.rows.replaceChildren();
    this.next = null;
    await this.load();
  }

  async load() {
    const after = this.next === null ? "" : `&after=${this.next}`;
    const page = await get(`/v1/datasets/${encodeURIComponent(this.name)}/windows?split=${this.split.value}&limit=${PAGE}${after}`);
    this.next = page.next;
    this.more.hidden = !page.has_more;
    this.rows.append(...page.data.map((found) => row(
      h("a", { href: address(this.name, "windows", found.window_id) }, String(found.window_id)),
      found.recording_id, found.subject_id, found.start_s === null ? null : `${number(found.start_s)} s`, number(found.sqi, 3),
      ...this.labels.map((label) => shown(found.labels[label])))));
  }
}

const shown = (value) => (typeof value === "number" ? number(value) : value ?? "–");

// ----------------------------------------------------------------------------------------- window

export async function showWindow(main, signal, encoded, id) {
  const viewer = new SignalViewer(`/v1/datasets/${encoded}/windows/${id}`, signal);
  const found = await viewer.load();
  const name = decodeURIComponent(encoded);
  const { labels } = found;
  main.replaceChildren(h("h1", {}, `Window ${id} of `, h("a", { href: address(name) }, name)),
    card("What is known of it", facts({
      Split: words(found.split), Recording: found.recording_id, Subject: found.subject_id,
      Start: found.start_s === null ? null : `${number(found.start_s)} s`, Recorded: found.valid_s === null ? null : `${number(found.valid_s)} s`,
      Quality: number(found.sqi, 3), ...Object.fromEntries(Object.entries(labels).map(([label, value]) => [words(label), shown(value)])),
    })),
    viewer.node);
  signal.addEventListener("abort", () => viewer.chart.close());
  viewer.start();
}

/** Both signals of a window: all of it thinned, and the part that is looked at in detail. */
class SignalViewer {
  constructor(path, signal) {
    this.path = path;
    this.signal = signal;
    this.chart = new Chart("Signals", { place: (at) => `${number(at, 6)} s`, onZoom: (range) => this.look(range) });
    this.place = h("input", { type: "range", min: 0, max: 1000, "aria-label": "Part of the window that is shown", oninput: () => this.pan() });
    this.seconds = h("select", { "aria-label": "Seconds that are shown", onchange: () => this.zoom() });
    this.node = h("section", { class: "card", "aria-label": "Signals" },
      h("div", { class: "bar" }, h("h2", {}, "Signals"), h("div", { class: "tools" }, this.seconds)), this.chart.node, this.place);
  }

  async load() {
    this.whole = await get(`${this.path}?max_points=${MAX_POINTS}`, this.signal);
    this.length = this.whole.samples / this.whole.fs_hz;
    const offered = [2, 5, 10, 30, 60, 120, 300].filter((seconds) => seconds < this.length);
    this.seconds.append(h("option", { value: "" }, "all of it"), ...offered.map((seconds) => h("option", { value: seconds }, `${seconds} s`)));
    return this.whole;
  }

  start() {
    this.draw(this.whole);
    const [from, to] = [Number(chosen("from")), Number(chosen("to"))];
    if (to > from) this.chart.look({ min: from, max: Math.min(to, this.length) });
    else this.look(null);
  }

  zoom() {
    const width = Number(this.seconds.value);
    const from = this.chart.range?.min ?? 0;
    this.chart.look(width ? { min: Math.min(from, this.length - width), max: Math.min(from + width, this.length) } : null);
  }

  pan() {
    const { range } = this.chart;
    if (!range) return;
    const width = range.max - range.min;
    const from = (this.place.value / 1000) * (this.length - width);
    this.chart.look({ min: from, max: from + width });
  }

  /** Follows what the chart shows, and fetches the detail that the whole window leaves out. */
  async look(range) {
    const width = range ? range.max - range.min : this.length;
    this.place.disabled = !range;
    if (document.activeElement !== this.place) this.place.value = range ? 1000 * range.min / Math.max(this.length - width, 1e-9) : 0;
    this.seconds.value = [...this.seconds.options].find(({ value }) => Math.abs(Number(value) - width) < 0.01)?.value ?? "";
    const asked = (this.asked = Symbol("a later look replaces it"));
    await pause(SETTLED_MS, this.signal);
    if (asked !== this.asked || this.signal.aborted) return;
    choose({ from: range && range.min.toFixed(2), to: range && range.max.toFixed(2) });
    if (!range || this.whole.samples <= MAX_POINTS) return;
    const [from, to] = [Math.max(0, range.min - width), Math.min(this.length, range.max + width)];
    const part = await get(`${this.path}?from_s=${from}&to_s=${to}&max_points=${MAX_POINTS}`, this.signal).catch(() => null);
    if (part && asked === this.asked) this.draw(part);
  }

  draw(part) {
    const curve = (name) => withDetail(this.whole[name], part[name]);
    this.chart.show("as recorded and denoised", [
      { name: "recorded", color: "--train", width: 1, points: curve("signal") },
      { name: "denoised", color: "--val", width: 1.6, points: curve("denoised") },
    ]);
  }
}
