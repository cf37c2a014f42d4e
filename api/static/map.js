// A map of what a job embedded: windows as points, coloured by what is known of them; a click shows one and those nearest to it.

import { get } from "./service.js";
import { choose, chosen } from "./address.js";
import { coloured } from "./colours.js";
import { card, facts, field, h, number, words } from "./elements.js";
import { NearestList, WindowChart, windowsOf } from "./nearest.js";
import { Scatter } from "./scatter.js";

const NEAREST = 6;
const FIRST_COLOURS = ["subject_id", "recording_id", "start_s"];
const METHODS = { pca: "PCA: distances stay what they are", umap: "UMAP: neighbours stay neighbours" };

export async function showMap(main, id, signal) {
  const job = await get(`/v1/jobs/${id}`, signal);
  const page = new MapPage(job, signal);
  main.replaceChildren(h("h1", {}, "Map of ", h("a", { href: `#/jobs/${id}` }, job.name ?? id)), ...page.nodes);
  signal.addEventListener("abort", () => page.close());
  await page.load();
}

class MapPage {
  constructor(job, signal) {
    this.job = job;
    this.path = `/v1/jobs/${job.id}`;
    this.signal = signal;
    this.method = h("select", { onchange: () => { choose({ method: this.method.value, view: null }); this.load(); } },
      Object.entries(METHODS).map(([value, label]) => h("option", { value }, label)));
    this.method.value = chosen("method") ?? "pca";
    this.by = h("select", { onchange: () => { choose({ by: this.by.value, only: null }); this.offerGroups(); this.paint(); } });
    this.only = h("select", { onchange: () => { choose({ only: this.only.value }); this.paint(); } });
    this.onlyField = field("Highlight", this.only);
    this.legend = h("p", { class: "legend" });
    this.problem = h("p", { class: "notice bad", role: "alert", hidden: true });
    this.said = h("p", { role: "status" });
    this.count = h("p", { class: "dim" });
    this.scatter = new Scatter({
      onPoint: (at) => { this.said.textContent = this.describe(at); },
      onOpen: (at) => this.open(at),
      onView: (view) => choose({ view: view && [view.scale, view.x, view.y].map((value) => Number(value.toPrecision(5))).join(",") }),
    });
    this.scatter.onRepaint = () => this.paint();
    const zoom = (label, name, act) => h("button", { "aria-label": name, title: name, onclick: act }, label);
    this.map = h("section", { class: "card", "aria-label": "Map" },
      h("div", { class: "fields" }, field("Method", this.method), field("Coloured by", this.by), this.onlyField), this.problem, this.legend, this.scatter.node,
      h("div", { class: "bar" }, this.said, h("div", { class: "actions" }, zoom("+", "Zoom in", () => this.scatter.zoom(2)), zoom("−", "Zoom out", () => this.scatter.zoom(0.5)),
        h("button", { onclick: () => this.scatter.look(null) }, "Show all"))), this.count);
    this.known = h("div");
    this.window = new WindowChart(job.id, signal);
    this.noSignal = h("p", { class: "dim", hidden: true });
    this.nearest = new NearestList(job.id, signal, (found) => this.buttonFor(found));
    this.others = h("input", { type: "checkbox", onchange: () => { choose({ others: this.others.checked && 1 }); this.findNearest(); } });
    this.others.checked = chosen("others") === "1";
    this.cards = [card("Window", this.known, this.window.node, this.noSignal),
      h("section", { class: "card", "aria-label": "Nearest windows" }, h("div", { class: "bar" }, h("h2", {}, "Nearest windows"),
        h("label", { class: "inline" }, this.others, "of other recordings only")), this.nearest.node)];
    for (const shown of this.cards) shown.hidden = true;
    this.nodes = [this.map, ...this.cards];
  }

  close() {
    this.scatter.close();
    this.window.close();
  }

  async load() {
    this.problem.hidden = true;
    this.count.textContent = "Being computed; UMAP takes up to a minute, once …";
    const method = this.method.value;
    try {
      const found = await get(`${this.path}/map?method=${method}`, this.signal);
      if (method === this.method.value) this.take(found);
    } catch (problem) {
      if (this.signal.aborted) return;
      this.problem.textContent = problem.message;
      this.problem.hidden = false;
      this.count.textContent = "";
    }
  }

  take(found) {
    this.found = found;
    this.placeOf = new Map(found.row.map((row, at) => [row, at]));
    const [shown, all] = [found.row.length, found.rows].map((count) => count.toLocaleString("en"));
    this.count.textContent = `${shown} of ${all} rows. Drag to move, turn the wheel to zoom, click for a window; or with the arrow keys and Enter.`;
    const first = FIRST_COLOURS.filter((name) => name in found.columns);
    const names = [...first, ...Object.keys(found.columns).filter((name) => !first.includes(name)).sort()];
    this.by.replaceChildren(...names.map((name) => h("option", { value: name }, words(name))));
    this.by.value = [chosen("by"), ...names].find((name) => names.includes(name));
    this.offerGroups();
    const view = (chosen("view") ?? "").split(",").map(Number);
    this.scatter.show(found, view.length === 3 && view.every(Number.isFinite) ? { scale: view[0], x: view[1], y: view[2] } : null);
    this.paint();
    const at = this.placeOf.get(Number(chosen("row") ?? NaN));
    if (at !== undefined) this.scatter.open(at);
  }

  offerGroups() {
    const { kind, names } = this.found.columns[this.by.value];
    this.onlyField.hidden = kind !== "groups";
    this.only.replaceChildren(h("option", { value: "" }, "all"), ...(names ?? []).map((name) => h("option", { value: name }, name)));
    this.only.value = (names ?? []).includes(chosen("only")) ? chosen("only") : "";
  }

  paint() {
    if (!this.found) return;
    const column = this.found.columns[this.by.value];
    this.colours = coloured(column);
    const only = this.only.value && column.names?.indexOf(this.only.value);
    this.legend.replaceChildren(...this.colours.legend);
    this.scatter.node.setAttribute("aria-label", `Map of ${this.found.row.length.toLocaleString("en")} windows by ${this.found.method.toUpperCase()}, coloured by ${words(this.by.value)}: ${
      this.colours.legend.map((entry) => entry.textContent || entry.ariaLabel).join(", ")}`);
    this.scatter.paint(this.colours, only === "" ? undefined : (i) => column.codes[i] === only);
  }

  describe(at) {
    const { row, columns } = this.found;
    const recording = columns.recording_id;
    return `Row ${row[at]}: ${recording.names[recording.codes[at]]} from ${number(columns.start_s.values[at])} s; ${words(this.by.value)} ${this.colours.says(at)}`;
  }

  // ------------------------------------------------------------------------------------ one window

  async open(at) {
    this.row = this.found.row[at];
    choose({ row: this.row });
    for (const shown of this.cards) shown.hidden = false;
    await Promise.all([this.showWindow(this.row), this.findNearest()]);
  }

  async showWindow(row) {
    try {
      const found = await this.window.show(row);
      if (found) this.tell(found);
      this.noSignal.hidden = true;
    } catch (problem) {
      if (this.signal.aborted || row !== this.row) return;
      this.known.replaceChildren();
      this.noSignal.textContent = problem.message;
      this.noSignal.hidden = false;
    }
    this.window.node.hidden = !this.noSignal.hidden;
  }

  tell({ row, recording_id: recording, start_s: start, quality, known }) {
    const { window_id: id, recording_id: _, start_s: __, sqi: ___, ...labels } = known;
    const address = `#/datasets/${encodeURIComponent(this.job.dataset)}/windows/${id}`;
    this.known.replaceChildren(facts({
      Row: String(row), Recording: recording, Start: `${number(start)} s`, "Signal quality": number(quality, 3),
      "In the dataset": id === undefined ? null : h("a", { href: address }, `window ${id}`),
      ...Object.fromEntries(Object.entries(labels).map(([name, value]) => [words(name), typeof value === "number" ? number(value) : value])),
    }));
  }

  async findNearest() {
    const { row } = this;
    try {
      const { data } = await get(`${windowsOf(this.job.id)}/${row}/nearest?k=${NEAREST}&exclude_same_recording=${this.others.checked}`, this.signal);
      if (row === this.row) this.nearest.show(data);
    } catch (problem) {
      if (!this.signal.aborted) this.nearest.node.replaceChildren(h("p", { class: "dim" }, problem.message));
    }
  }

  buttonFor({ row, recording_id: recording }) {
    const at = this.placeOf.get(row);
    return at === undefined ? null : h("button", { class: "small", "aria-label": `go to it: row ${row}, ${recording}`, onclick: () => this.scatter.open(at) }, "go to it");
  }
}
