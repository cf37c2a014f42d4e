// Tens of thousands of points on a canvas: zoomed, panned, pointed at and walked through by keys.

import { h } from "./elements.js";
import { tint } from "./colours.js";

const KEYS = "Arrow keys go to the next point in their direction, Enter opens it, plus and minus zoom, Escape shows everything.";
const MARGIN = 16;
const ZOOM = 1.4;
const FURTHEST = 400;
const DRAGGED = 4; // pixels; less is a click
const FADED = 0.12;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

export class Scatter {
  /** `onPoint` hears a point that the mouse or the keys are at, `onOpen` one that is chosen, `onView` where the drawing was moved to. */
  constructor({ onPoint, onOpen, onView }) {
    Object.assign(this, { onPoint, onOpen, onView });
    this.node = h("canvas", { class: "scatter", role: "img", tabindex: 0, "aria-description": KEYS, onkeydown: (event) => this.press(event),
      onpointerdown: (event) => this.grab(event), onpointermove: (event) => this.move(event), onpointerup: (event) => this.drop(event),
      onwheel: (event) => { event.preventDefault(); this.zoom(event.deltaY < 0 ? ZOOM : 1 / ZOOM, this.place(event)); } });
    this.points = null;
    this.view = null;
    this.resized = new ResizeObserver(() => this.draw());
    this.resized.observe(this.node);
    this.scheme = matchMedia("(prefers-color-scheme: dark)");
    this.repaint = () => this.onRepaint?.();
    this.scheme.addEventListener("change", this.repaint);
  }

  close() {
    this.resized.disconnect();
    this.scheme.removeEventListener("change", this.repaint);
  }

  /** New points `{x, y}`, at the place of `view`, or all of them. */
  show(points, view) {
    this.points = points;
    const span = (values) => values.reduce(([low, high], value) => [Math.min(low, value), Math.max(high, value)], [Infinity, -Infinity]);
    this.spans = [span(points.x), span(points.y)];
    this.view = view;
    this.at = null;
  }

  /** `of` says which of `colors` each point has; only those that `isShown` are drawn in full. */
  paint({ colors, of }, isShown = () => true) {
    this.colors = colors;
    this.layers = [[], []];
    of.forEach((color, i) => this.layers[isShown(i) ? 1 : 0].push(i));
    this.of = of;
    this.draw();
  }

  // ------------------------------------------------------------------------------------- drawing

  /** Maps a point to CSS pixels: one unit is as long across as up, so that distances are what they are. */
  projection() {
    const [[left, right], [low, high]] = this.spans;
    const { clientWidth: wide, clientHeight: tall } = this.node;
    const { scale, x, y } = this.view ?? { scale: 1, x: (left + right) / 2, y: (low + high) / 2 };
    const unit = scale * Math.min((wide - 2 * MARGIN) / (right - left || 1), (tall - 2 * MARGIN) / (high - low || 1));
    return { unit, x, y, scale, to: (i) => [wide / 2 + (this.points.x[i] - x) * unit, tall / 2 - (this.points.y[i] - y) * unit],
      from: ([px, py]) => [x + (px - wide / 2) / unit, y - (py - tall / 2) / unit] };
  }

  draw() {
    if (this.waiting || !this.points || !this.layers || !this.node.clientWidth) return;
    this.waiting = requestAnimationFrame(() => { this.waiting = null; this.drawNow(); });
  }

  drawNow() {
    const { clientWidth: wide, clientHeight: tall } = this.node;
    Object.assign(this.node, { width: wide * devicePixelRatio, height: tall * devicePixelRatio });
    const brush = this.node.getContext("2d");
    brush.scale(devicePixelRatio, devicePixelRatio);
    const { to, scale } = this.projection();
    const radius = Math.max(1.6, Math.min(5, 90 / Math.sqrt(this.points.x.length))) * Math.min(2, Math.sqrt(scale) ** 0.5);
    const dots = this.colors.map((color) => dot(color, radius));
    const half = dots[0].width / 2 / devicePixelRatio;
    this.layers.forEach((layer, isInFull) => {
      brush.globalAlpha = isInFull ? 0.85 : FADED;
      for (const i of layer) {
        const [x, y] = to(i);
        if (x > -half && y > -half && x < wide + half && y < tall + half) brush.drawImage(dots[this.of[i]], x - half, y - half, 2 * half, 2 * half);
      }
    });
    brush.globalAlpha = 1;
    if (this.at === null) return;
    brush.strokeStyle = tint("--ink");
    brush.lineWidth = 2.5;
    brush.beginPath();
    brush.arc(...to(this.at), radius + 4, 0, 7);
    brush.stroke();
  }

  // ------------------------------------------------------------------------------- mouse and touch

  place(event) {
    const box = this.node.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  }

  nearest([x, y]) {
    const { to } = this.projection();
    let best = [Infinity, null];
    for (let i = 0; i < this.points.x.length; i += 1) {
      const [a, b] = to(i);
      const far = (a - x) ** 2 + (b - y) ** 2;
      if (far < best[0]) best = [far, i];
    }
    return { at: best[1], pixels: Math.sqrt(best[0]) };
  }

  grab(event) {
    if (!this.points) return;
    this.held = { from: this.place(event), projection: this.projection(), isMoved: false };
    this.node.setPointerCapture(event.pointerId);
  }

  move(event) {
    if (!this.points) return;
    const place = this.place(event);
    if (!this.held) {
      const { at, pixels } = this.nearest(place);
      if (pixels < 12) this.onPoint(at);
      return;
    }
    const { from, projection } = this.held;
    const [right, down] = [place[0] - from[0], place[1] - from[1]];
    this.held.isMoved ||= Math.hypot(right, down) > DRAGGED;
    if (this.held.isMoved) this.look({ scale: projection.scale, x: projection.x - right / projection.unit, y: projection.y + down / projection.unit });
  }

  drop(event) {
    const isClick = this.held && !this.held.isMoved;
    this.held = null;
    if (isClick) this.open(this.nearest(this.place(event)).at);
  }

  // ----------------------------------------------------------------------------------- the view

  look(view) {
    this.view = view;
    this.onView(view);
    this.draw();
  }

  /** Zooms about a place on the canvas, which stays where it is; by default the chosen point. */
  zoom(factor, place) {
    if (!this.points) return;
    const now = this.projection();
    const scale = Math.min(FURTHEST, now.scale * factor);
    if (scale <= 1) {
      this.look(null);
      return;
    }
    const fixed = place ? now.from(place) : this.at === null ? [now.x, now.y] : [this.points.x[this.at], this.points.y[this.at]];
    const by = now.scale / scale;
    this.look({ scale, x: fixed[0] + (now.x - fixed[0]) * by, y: fixed[1] + (now.y - fixed[1]) * by });
  }

  // -------------------------------------------------------------------------------------- keys

  press(event) {
    const arrow = ARROWS[event.key];
    const act = arrow ? () => this.step(arrow) : { Enter: () => this.at !== null && this.open(this.at), "+": () => this.zoom(ZOOM), "-": () => this.zoom(1 / ZOOM),
      Escape: () => this.look(null) }[event.key];
    if (!act || !this.points || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    act();
  }

  /** The nearest point within an eighth turn of a direction; the first one is that in the middle. */
  step([right, down]) {
    const { to } = this.projection();
    if (this.at === null) {
      this.mark(this.nearest([this.node.clientWidth / 2, this.node.clientHeight / 2]).at);
      return;
    }
    const [x, y] = to(this.at);
    let best = [Infinity, this.at];
    for (let i = 0; i < this.points.x.length; i += 1) {
      const [a, b] = to(i);
      const ahead = (a - x) * right + (b - y) * down;
      const beside = Math.abs((a - x) * down) + Math.abs((b - y) * right);
      const far = ahead + beside;
      if (ahead > 0 && beside <= ahead && far < best[0]) best = [far, i];
    }
    this.mark(best[1]);
  }

  /** Puts the ring around a point, and brings it into view. */
  mark(at) {
    this.at = at;
    const { to, scale } = this.projection();
    const [x, y] = to(at);
    const isInView = x >= 0 && y >= 0 && x <= this.node.clientWidth && y <= this.node.clientHeight;
    if (!isInView) this.look({ scale, x: this.points.x[at], y: this.points.y[at] });
    this.onPoint(at);
    this.draw();
  }

  open(at) {
    this.mark(at);
    this.onOpen(at);
  }
}

/** A dot of a colour, drawn once and stamped for each point. */
function dot(color, radius) {
  const size = Math.ceil(2 * radius * devicePixelRatio) + 2;
  const stamp = Object.assign(document.createElement("canvas"), { width: size, height: size });
  const brush = stamp.getContext("2d");
  brush.fillStyle = color;
  brush.beginPath();
  brush.arc(size / 2, size / 2, radius * devicePixelRatio, 0, 7);
  brush.fill();
  return stamp;
}
