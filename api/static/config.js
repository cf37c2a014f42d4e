// A training run's config: what differs from its preset, or from the defaults, and all of it.

import { get } from "./service.js";
import { card, h, row, table } from "./elements.js";

/** Every setting of a config by its dotted path; a list is one value. */
export const flattened = (tree, path = "") =>
  Object.entries(tree).flatMap(([key, value]) =>
    value !== null && typeof value === "object" && !Array.isArray(value) ? flattened(value, `${path}${key}.`) : [[path + key, value]]);

/** The config that nobody has changed anything of. */
export const defaultsOf = (schema) =>
  Object.fromEntries(Object.entries(schema.properties).map(([name, property]) => [name, property.default]));

export class ConfigView {
  constructor() {
    this.body = h("div", { class: "report" });
    this.node = card("Config", this.body);
  }

  /** Shows the config once; it never changes. */
  async load(job, signal) {
    if (this.isShown) return;
    const base = await baseOf(job.preset, signal);
    this.isShown = true;
    const before = new Map(flattened(base));
    const all = flattened(job.config);
    const changed = all.filter(([key, value]) => written(value) !== written(before.get(key)));
    const from = job.preset ? `the preset ${job.preset}` : "the defaults";
    this.body.replaceChildren(
      changed.length
        ? table([`Differs from ${from}`, "This job", job.preset ? "Preset" : "Default"],
          changed.map(([key, value]) => row(h("code", {}, key), cell(value), cell(before.get(key)))), { rowsOnPhones: true })
        : h("p", { class: "dim" }, `Nothing differs from ${from}.`),
      h("details", {}, h("summary", {}, `All ${all.length} settings`),
        table(["Setting", "Value"], all.map(([key, value]) => row(h("code", {}, key), cell(value))), { rowsOnPhones: true })));
  }
}

async function baseOf(preset, signal) {
  if (!preset) return defaultsOf(await get("/v1/config-schema", signal));
  const { data } = await get("/v1/presets", signal);
  return data.find(({ name }) => name === preset)?.config ?? {}; // a preset that is gone: everything differs
}

const written = (value) => JSON.stringify(value);

const cell = (value) => h("td", { class: "number" }, value === undefined ? "–" : written(value));
