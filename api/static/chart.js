// Curves over steps or seconds, drawn by uPlot: log scale, zoom, and a cursor whose values stand below as text.

import uPlot from "./vendor/uplot/uPlot.esm.js";
import { h, number } from "./elements.js";

const KEYS = "Left and right arrows move the cursor, plus and minus zoom, Escape shows everything.";
const ZOOM = 1.6;
const AXIS_FONT = "11px system-ui, sans-serif";

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** One set of axes; `node` is the drawing with its legend. */
export class Chart {
  /** `place` words a position on the x axis: a step, a second; `onZoom` hears the shown range, or null for all of it. */
  constructor(label, { place, onZoom }) {
    this.label = label;
    this.place = place;
    this.onZoom = onZoom;
    this.frame = h("div", { class: "chart", role: "img", tabindex: 0, "aria-description": KEYS, onkeydown: (event) => this.press(event) });
    this.legend = h("p", { class: "legend" });
    this.said = h("p", { class: "unseen", role: "status" }); // what the keys point at; new points are not announced
    this.node = h("div", {}, this.frame, this.legend, this.said);
    this.curves = [];
    this.range = null;
    this.resized = new ResizeObserver(() => this.resize());
    this.resized.observe(this.frame);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => this.plot?.redraw(false);
    this.scheme.addEventListener("change", this.repaint);
  }

  close() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.repaint);
    this.plot?.destroy();
  }

  /** Draws curves `{name, points: [[x, y], ...], color, width, dots, unnamed}`; an unnamed one is not read out. */
  show(title, curves, { isLog = false } = {}) {
    this.title = title;
    const usable = ([, y]) => Number.isFinite(y) && (!isLog || y > 0);
    this.curves = curves.map((curve) => ({ ...curve, points: curve.points.filter(usable) }));
    const shape = JSON.stringify([isLog, curves.map(({ points, ...looks }) => looks)]);
    if (this.plot && shape === this.shape) this.fill();
    else this.build(isLog);
    this.shape = shape;
    this.read();
  }

  data() {
    const tables = this.curves.map(({ points }) => [points.map(([x]) => x), points.map(([, y]) => y)]);
    return tables.length ? uPlot.join(tables) : [[]];
  }

  build(isLog) {
    this.plot?.destroy();
    const axis = {
      stroke: () => color("--dim"), grid: { stroke: () => color("--line"), width: 1 }, ticks: { show: false }, font: AXIS_FONT,
    };
    this.plot = new uPlot({
      ...this.size(),
      legend: { show: false },
      cursor: { y: false, drag: { x: true, y: false }, points: { size: 7 } },
      scales: { x: { time: false }, y: { distr: isLog ? 3 : 1 } },
      axes: [
        { ...axis, size: 30, space: 90, values: (_, ticks) => ticks.map((tick) => tick.toLocaleString("en")) },
        { ...axis, size: 58, values: (_, ticks) => ticks.map((tick) => (tick === null ? "" : number(tick, 3))) },
      ],
      series: [{}, ...this.curves.map((curve) => ({
        label: curve.name, stroke: () => color(curve.color), width: curve.width ?? 1.6, alpha: curve.unnamed ? 0.35 : 1,
        points: { show: Boolean(curve.dots), size: 6, fill: () => color(curve.color) },
      }))],
      hooks: { setCursor: [() => this.read()], setScale: [(_, key) => key === "x" && this.noteZoom()] },
    }, this.data(), this.frame);
    if (this.range) this.look(this.range);
  }

  /** Shows a range of the x axis; null: all of it. */
  look(range) {
    const xs = this.plot.data[0];
    this.plot.setScale("x", range ?? { min: xs[0], max: xs.at(-1) });
  }

  /** New data under the zoom that is set. */
  fill() {
    const { range } = this;
    this.plot.setData(this.data());
    if (range) this.look(range);
  }

  size() {
    return { width: Math.max(200, this.frame.clientWidth), height: Math.max(120, this.frame.clientHeight) };
  }

  resize() {
    this.plot?.setSize(this.size());
  }

  noteZoom() {
    const xs = this.plot?.data[0];
    if (!xs?.length) return;
    const { min, max } = this.plot.scales.x;
    const range = min <= xs[0] && max >= xs.at(-1) ? null : { min, max };
    if (range?.min === this.range?.min && range?.max === this.range?.max) return;
    this.range = range;
    this.onZoom?.(range);
  }

  // -------------------------------------------------------------------------------------- keys

  press(event) {
    const act = { ArrowLeft: () => this.move(-1), ArrowRight: () => this.move(1), "+": () => this.zoom(1 / ZOOM), "-": () => this.zoom(ZOOM),
      Escape: () => this.look(null) }[event.key];
    if (!act || !this.plot?.data[0].length) return;
    event.preventDefault();
    act();
    this.said.textContent = [...this.legend.children].map((entry) => entry.textContent).join(", ");
  }

  move(by) {
    const xs = this.plot.data[0];
    const at = Math.min(xs.length - 1, Math.max(0, (this.plot.cursor.idx ?? xs.length) + by));
    const { min, max } = this.plot.scales.x;
    const pushed = xs[at] - Math.min(max, Math.max(min, xs[at])); // beyond an edge the cursor takes the view along
    if (pushed) this.look({ min: min + pushed, max: max + pushed });
    this.plot.setCursor({ left: this.plot.valToPos(xs[at], "x"), top: 10 });
  }

  zoom(factor) {
    const xs = this.plot.data[0];
    const { min, max } = this.plot.scales.x;
    const middle = this.plot.cursor.idx == null ? (min + max) / 2 : xs[this.plot.cursor.idx];
    const width = Math.min((max - min) * factor, xs.at(-1) - xs[0]);
    const low = Math.max(xs[0], Math.min(middle - width / 2, xs.at(-1) - width));
    this.look({ min: low, max: low + width });
  }

  // ------------------------------------------------------------------------------------- words

  /** Tells the values at the cursor, or the newest ones without a cursor. */
  read() {
    const index = this.plot?.cursor.idx;
    const at = index == null ? Infinity : this.plot.data[0][index];
    const told = this.curves.filter(({ unnamed }) => !unnamed).map(({ name, points, color: tint }) => {
      const found = points[firstBeyond(points, at) - 1];
      return found && h("span", { "data-color": tint.slice(2) }, `${name} ${number(found[1])} at ${this.place(found[0])}`);
    }).filter(Boolean);
    this.legend.replaceChildren(...told);
    this.frame.setAttribute("aria-label", `${this.label}, ${this.title}: ${told.map((entry) => entry.textContent).join(", ") || "nothing yet"}`);
  }
}

/** Points of a whole curve, those of a part of it in finer detail. */
export function withDetail(whole, part) {
  if (!part.length) return whole;
  const [[first], [last]] = [part[0], part.at(-1)];
  return [...whole.filter(([at]) => at < first), ...part, ...whole.filter(([at]) => at > last)];
}

/** Index of the first point beyond `x`; points are in order of x. */
function firstBeyond(points, x) {
  let [low, high] = [0, points.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (points[middle][0] <= x) low = middle + 1;
    else high = middle;
  }
  return low;
}
