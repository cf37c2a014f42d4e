// What a column of a map is coloured by: a scale for numbers, a colour for each of the largest groups. Both are told apart by the colour-blind.

import { h, number } from "./elements.js";

const GROUPS = 8; // --group-1 ... in style.css, after Okabe and Ito
const STEPS = 48;
const OUTLIERS = 0.02; // at either end of a scale: one of them would take the colours from all others

export const tint = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

/** `{colors, of, says, legend}`: CSS colours, which one each point has, a value in words, and what the legend shows. */
export const coloured = (column) => (column.kind === "numbers" ? byNumber(column.values) : byGroup(column));

function byNumber(values) {
  const sorted = Float64Array.from(values.filter((value) => value !== null)).sort();
  const at = (share) => sorted[Math.round(share * (sorted.length - 1))];
  const [low, high] = [at(OUTLIERS), at(1 - OUTLIERS)];
  const step = (value) => Math.round(Math.min(1, Math.max(0, (value - low) / (high - low || 1))) * (STEPS - 1));
  const unknown = values.length - sorted.length;
  return {
    colors: [...Array.from({ length: STEPS }, (_, at) => `color-mix(in oklab, ${tint("--scale-high")} ${(100 * at) / (STEPS - 1)}%, ${tint("--scale-low")})`), tint("--line")],
    of: values.map((value) => (value === null ? STEPS : step(value))),
    says: (i) => number(values[i]),
    legend: [h("span", { class: "number" }, number(low)), h("span", { class: "scale", role: "img", "aria-label": "from blue to yellow" }), h("span", { class: "number" }, number(high)),
      unknown ? h("span", { class: "dim" }, `${unknown.toLocaleString("en")} unknown`) : null].filter(Boolean),
  };
}

function byGroup({ names, codes }) {
  const counts = new Map();
  for (const code of codes) counts.set(code, (counts.get(code) ?? 0) + 1);
  const largest = [...counts.keys()].filter((code) => code >= 0).sort((a, b) => counts.get(b) - counts.get(a) || a - b).slice(0, GROUPS);
  const rest = names.length - largest.length;
  const place = new Map(largest.map((code, at) => [code, at]));
  return {
    colors: [...largest.map((_, at) => tint(`--group-${at + 1}`)), tint("--rest")],
    of: codes.map((code) => place.get(code) ?? largest.length),
    says: (i) => names[codes[i]] ?? "–",
    legend: [...largest.map((code, at) => h("span", { "data-color": `group-${at + 1}` }, names[code])),
      rest > 0 ? h("span", { "data-color": "rest" }, `${rest.toLocaleString("en")} more`) : null].filter(Boolean),
  };
}
