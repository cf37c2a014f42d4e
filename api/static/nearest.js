// The windows nearest to one, each with the beginning of its signal; and one window's signal, in the detail that is looked at.

import { get, pause } from "./service.js";
import { h, number, svg } from "./elements.js";
import { Chart, withDetail } from "./chart.js";

const SHOWN_S = 10;
const SHOWN_POINTS = 500;
const MAX_POINTS = 4000;
const SETTLED_MS = 120;
const SIZE = { width: 320, height: 90, margin: 4 };

/** Figures in order of distance; `act(neighbour)` gives what stands beside each name, or null. */
export class NearestList {
  constructor(jobId, signal, act = () => null) {
    this.path = windowsOf(jobId);
    this.signal = signal;
    this.act = act;
    this.node = h("div", { class: "figures" });
  }

  show(neighbours) {
    this.node.replaceChildren(...neighbours.map((found) => {
      const place = h("div", {}, h("div", { class: "spark" }));
      this.drawInto(place, found);
      return h("figure", {}, h("figcaption", {}, h("span", {}, found.recording_id, h("span", { class: "dim" }, `, ${number(found.start_s)} s`)), this.act(found)),
        place, h("p", { class: "dim" }, `distance ${number(found.distance, 3)}, quality ${number(found.quality, 2)}`));
    }));
  }

  async drawInto(place, { row, recording_id: recording }) {
    try {
      const found = await get(`${this.path}/${row}?to_s=${SHOWN_S}&max_points=${SHOWN_POINTS}`, this.signal);
      place.replaceChildren(drawn(found.signal, `The first ${number(Math.min(SHOWN_S, found.samples / found.fs_hz), 3)} s of row ${row}, ${recording}`));
    } catch (problem) {
      if (!this.signal.aborted) place.replaceChildren(h("p", { class: "dim" }, problem.message));
    }
  }
}

export const windowsOf = (jobId) => `/v1/jobs/${jobId}/embeddings/windows`;

function drawn(points, said) {
  const known = points.filter(([, value]) => value !== null);
  const values = known.map(([, value]) => value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [known[0]?.[0], known.at(-1)?.[0]];
  const x = (at) => (SIZE.margin + ((at - first) / (last - first || 1)) * (SIZE.width - 2 * SIZE.margin)).toFixed(1);
  const y = (value) => (SIZE.margin + ((high - value) / (high - low || 1)) * (SIZE.height - 2 * SIZE.margin)).toFixed(1);
  const d = known.map(([at, value], index) => `${index ? "L" : "M"}${x(at)} ${y(value)}`).join("");
  return svg("svg", { class: "spark", viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": said }, svg("path", { class: "signal", d }));
}

/** The signal of a row: all of it thinned, and what is zoomed into in detail. */
export class WindowChart {
  constructor(jobId, signal) {
    this.path = windowsOf(jobId);
    this.signal = signal;
    this.chart = new Chart("Signal", { place: (at) => `${number(at, 6)} s`, onZoom: (range) => this.look(range) });
    this.node = this.chart.node;
  }

  close() {
    this.chart.close();
  }

  /** Draws it, and answers what is known of it. */
  async show(row) {
    this.row = row;
    const found = await get(`${this.path}/${row}?max_points=${MAX_POINTS}`, this.signal);
    if (row !== this.row) return null;
    this.whole = found;
    this.chart.range = null;
    this.draw(found.signal);
    return found;
  }

  async look(range) {
    const asked = (this.asked = Symbol("a later look replaces it"));
    await pause(SETTLED_MS, this.signal);
    if (asked !== this.asked || this.signal.aborted || !range || this.whole.samples <= MAX_POINTS) return;
    const width = range.max - range.min;
    const [from, to] = [Math.max(0, range.min - width), range.max + width];
    const part = await get(`${this.path}/${this.row}?from_s=${from}&to_s=${to}&max_points=${MAX_POINTS}`, this.signal).catch(() => null);
    if (part && asked === this.asked) this.draw(withDetail(this.whole.signal, part.signal));
  }

  draw(points) {
    this.chart.show(`row ${this.row}`, [{ name: "as recorded", color: "--train", width: 1.2, points }]);
  }
}
