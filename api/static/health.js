// How healthy an embedding is, epoch by epoch: one small chart per figure, with what its ends mean.

import { h, number, svg } from "./elements.js";

const SIZE = { width: 240, height: 72, margin: 5 };
const percentage = (value) => `${(100 * value).toFixed(1)} %`;
const plain = (value) => number(value, 3);

// `curves` lists the value itself first; the others are drawn thin, beside it. Limits are those of the
// trainer's warnings (ppgssl/training/collapse.py): beyond them the run has collapsed.
const FIGURES = [
  { title: "Explained variance", curves: ["explained_variance"], level: 0, show: percentage, limit: { low: 0.05 },
    note: "of held-out windows; 0 % predicts the mean" },
  { title: "Effective rank", curves: ["effective_rank"], show: plain, limit: { low: 4 },
    note: "directions in which the embeddings differ" },
  { title: "Spread per dimension", curves: ["embedding_std", "embedding_std_p5", "embedding_std_p95"], show: plain,
    note: "mean, and 5 % and 95 % quantiles; 0 is a dead dimension" },
  { title: "Dead dimensions", curves: ["dead_dimensions"], level: 0, show: percentage, limit: { high: 0.5 },
    note: "that hardly differ between windows" },
  { title: "Uniformity", curves: ["uniformity"], level: 0, show: plain, limit: { high: -0.1 },
    note: "0: all windows alike; about −4: spread over the whole sphere" },
  { title: "Alignment", curves: ["alignment"], level: 0, show: plain,
    note: "0: neighbouring windows coincide; 2: they have nothing in common" },
  { title: "Heart rate probe", curves: ["hr_probe_mae", "hr_mean_mae"], level: 0, show: (value) => `${plain(value)} bpm`,
    note: "error on held-out people; thin line: predicting the mean" },
];

/** Small charts of the health figures that the validations `points` hold, in order of time. */
export function healthCharts(points) {
  const newest = points.at(-1).values;
  return h("div", { class: "figures" }, FIGURES.filter(({ curves }) => isMeasured(newest[curves[0]])).map((figure) => {
    const value = newest[figure.curves[0]];
    return h("figure", { class: isBeyond(value, figure.limit) ? "beyond" : null },
      h("figcaption", {}, figure.title, h("strong", { class: "number" }, figure.show(value))),
      drawn(points, figure),
      h("p", { class: "dim" }, figure.note),
      figure.limit && h("p", { class: "limit" }, judged(value, figure)));
  }));
}

const isBeyond = (value, limit = {}) => value < limit.low || value > limit.high;

function judged(value, { limit, show }) {
  const [side, edge] = limit.low === undefined ? ["above", limit.high] : ["below", limit.low];
  return isBeyond(value, limit) ? `Collapsed: ${side} ${show(edge)}` : `collapsed where ${side} ${show(edge)}`;
}

const isMeasured = (value) => Number.isFinite(value);

function drawn(points, { title, curves, level, show, limit }) {
  const lines = curves.map((name) =>
    points.filter((point) => isMeasured(point.values[name])).map((point) => [point.epoch, point.values[name]]));
  const all = lines.flat();
  const edge = limit && (limit.low ?? limit.high);
  const values = all.map(([, value]) => value).concat(level ?? [], edge ?? []);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  const [first, last] = [all[0][0], Math.max(...all.map(([epoch]) => epoch))];
  const inner = { width: SIZE.width - 2 * SIZE.margin, height: SIZE.height - 2 * SIZE.margin };
  const x = (epoch) => (SIZE.margin + (last > first ? (epoch - first) / (last - first) : 1) * inner.width).toFixed(1);
  const y = (value) => (SIZE.margin + (high > low ? (high - value) / (high - low) : 0.5) * inner.height).toFixed(1);
  const [main] = lines;
  const said = `${title}: ${show(main[0][1])} in epoch ${main[0][0]}, ${show(main.at(-1)[1])} in epoch ${main.at(-1)[0]}`;
  return svg("svg", { class: "spark", viewBox: `0 0 ${SIZE.width} ${SIZE.height}`, role: "img", "aria-label": said },
    ...(level === undefined ? [] : [svg("line", { class: "level", x1: 0, x2: SIZE.width, y1: y(level), y2: y(level) })]),
    ...(edge === undefined ? [] : [svg("line", { class: "edge", x1: 0, x2: SIZE.width, y1: y(edge), y2: y(edge) })]),
    ...lines.map((line, index) => svg("path", { class: index ? "beside" : "curve", d: path(line, x, y) })),
    svg("circle", { cx: x(main.at(-1)[0]), cy: y(main.at(-1)[1]), r: 3 }));
}

const path = (line, x, y) => line.map(([epoch, value], index) => `${index ? "L" : "M"}${x(epoch)} ${y(value)}`).join("");
