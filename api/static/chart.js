// A line chart of training and validation curves as SVG: axes, log scale, a cursor that reads values.

const NS = "http://www.w3.org/2000/svg";
const MARGIN = { top: 10, right: 12, bottom: 26, left: 56 };

export const svg = (name, attributes = {}, ...children) => {
  const node = document.createElementNS(NS, name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
};

export const number = (value, digits = 4) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(digits)));
};

/** About `count` round numbers from `low` to `high`. */
export function ticks(low, high, count) {
  const rough = (high - low) / count || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].find((factor) => factor * power >= rough) * power;
  const found = [];
  for (let value = Math.ceil(low / step) * step; value <= high + step * 1e-9; value += step) found.push(value);
  return found;
}

/** Powers of ten from `low` to `high`, or round numbers where those are too few. */
export function logTicks(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const factor of [1, 2, 5]) found.push(factor * 10 ** power);
  }
  const inside = found.filter((value) => value >= low && value <= high);
  const decades = inside.filter((value) => Number.isInteger(Math.round(Math.log10(value) * 1e9) / 1e9));
  if (decades.length >= 3) return decades;
  return inside.length >= 2 ? inside : ticks(low, high, 4);
}

/** Draws curves {train: [[step, value], ...], val: [...]} into `frame`, and values into `legend`. */
export class Chart {
  constructor(frame, legend) {
    this.frame = frame;
    this.legend = legend;
    this.curves = { train: [], val: [] };
    this.cursorStep = null;
    frame.addEventListener("pointermove", (event) => this.point(event));
    frame.addEventListener("pointerleave", () => this.read(null));
    frame.addEventListener("keydown", (event) => this.step(event));
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(frame);
  }

  close() {
    this.resized.disconnect();
  }

  show(name, curves, isLog) {
    this.name = name;
    this.isLog = isLog;
    const usable = ([, value]) => value !== null && Number.isFinite(value) && (!isLog || value > 0);
    this.curves = { train: curves.train.filter(usable), val: curves.val.filter(usable) };
    this.draw();
  }

  draw() {
    const { width, height } = this.frame.getBoundingClientRect();
    const all = [...this.curves.train, ...this.curves.val];
    this.frame.replaceChildren();
    this.read(this.cursorStep);
    if (!width || !all.length) return;
    const values = all.map(([, value]) => value);
    const [firstStep, lastStep] = [Math.min(...all.map(([step]) => step)), Math.max(...all.map(([step]) => step))];
    let [low, high] = [Math.min(...values), Math.max(...values)];
    if (low === high) [low, high] = this.isLog ? [low / 2, high * 2] : [low - 0.5, high + 0.5];
    const bend = this.isLog ? Math.log10 : (value) => value;
    const [bottom, top] = [bend(low), bend(high)];
    const inner = { width: width - MARGIN.left - MARGIN.right, height: height - MARGIN.top - MARGIN.bottom };
    this.x = (step) => MARGIN.left + ((step - firstStep) / (lastStep - firstStep || 1)) * inner.width;
    this.y = (value) => MARGIN.top + (1 - (bend(value) - bottom) / (top - bottom)) * inner.height;
    this.frame.setAttribute("viewBox", `0 0 ${width} ${height}`);
    this.axes(low, high, firstStep, lastStep, width, height);
    for (const split of ["train", "val"]) this.curve(split);
    this.cursor = svg("line", { class: "cursor", y1: MARGIN.top, y2: height - MARGIN.bottom, visibility: "hidden" });
    this.frame.append(this.cursor);
    this.read(this.cursorStep);
  }

  axes(low, high, firstStep, lastStep, width, height) {
    for (const value of this.isLog ? logTicks(low, high) : ticks(low, high, 5)) {
      const y = this.y(value);
      this.frame.append(
        svg("line", { class: "grid", x1: MARGIN.left, x2: width - MARGIN.right, y1: y, y2: y }),
        svg("text", { x: MARGIN.left - 8, y: y + 4, "text-anchor": "end" }, number(value, 3)),
      );
    }
    for (const step of ticks(firstStep, lastStep, Math.max(2, Math.floor(width / 120)))) {
      if (!Number.isInteger(step)) continue;
      this.frame.append(
        svg("text", { x: this.x(step), y: height - 8, "text-anchor": "middle" }, step.toLocaleString("en")),
      );
    }
  }

  curve(split) {
    const points = this.curves[split];
    const path = points.map(([step, value], i) => `${i ? "L" : "M"}${this.x(step).toFixed(1)} ${this.y(value).toFixed(1)}`);
    this.frame.append(svg("path", { class: `curve ${split}`, d: path.join("") }));
    if (split === "val" && points.length <= 60) {
      for (const [step, value] of points) this.frame.append(svg("circle", { cx: this.x(step), cy: this.y(value), r: 2.6 }));
    }
  }

  point(event) {
    if (!this.x) return;
    const at = event.clientX - this.frame.getBoundingClientRect().left;
    const all = [...this.curves.train, ...this.curves.val];
    if (!all.length) return;
    const nearest = all.reduce((best, [step]) => (Math.abs(this.x(step) - at) < Math.abs(this.x(best) - at) ? step : best), all[0][0]);
    this.read(nearest);
  }

  step(event) {
    const move = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const steps = [...new Set([...this.curves.train, ...this.curves.val].map(([step]) => step))].sort((a, b) => a - b);
    if (!move || !steps.length) return;
    event.preventDefault();
    const now = this.cursorStep === null ? steps.length : steps.indexOf(this.cursorStep);
    this.read(steps[Math.min(steps.length - 1, Math.max(0, now + move))]);
  }

  /** Tell the values at a step, or the newest ones without a step. */
  read(step) {
    this.cursorStep = step;
    if (this.cursor?.isConnected) {
      this.cursor.setAttribute("visibility", step === null ? "hidden" : "visible");
      if (step !== null) for (const key of ["x1", "x2"]) this.cursor.setAttribute(key, this.x(step));
    }
    const told = [];
    for (const [split, word] of [["train", "training"], ["val", "validation"]]) {
      const points = this.curves[split];
      const found = step === null ? points.at(-1) : points.findLast(([at]) => at <= step);
      if (!found) continue;
      const entry = document.createElement("span");
      entry.className = split;
      entry.textContent = `${word} ${number(found[1])} at step ${found[0].toLocaleString("en")}`;
      told.push(entry);
    }
    this.legend.replaceChildren(...told);
    this.frame.setAttribute("aria-label", `${this.name ?? "losses"}: ${told.map((entry) => entry.textContent).join(", ") || "nothing yet"}`);
  }
}
