// A form for every setting of a training run, made from the config's JSON schema; empty fields stay as the preset has them.

import { defaultsOf } from "./config.js";
import { h, words } from "./elements.js";

const OF_THE_DATASET = ["data.window_seconds", "data.fs_hz"]; // they follow the windows that are trained on
const OPEN = "training";

export class SettingsForm {
  constructor(schema) {
    this.defaults = defaultsOf(schema);
    this.fields = [];
    const sections = Object.entries(schema.properties).map(([name, property]) => [name, schema.$defs[property.$ref?.split("/").at(-1)]]);
    const general = sections.filter(([, section]) => !section).map(([name]) => this.field(name, schema.properties[name]));
    this.node = h("div", { class: "settings" },
      ...sections.filter(([, section]) => section).map(([name, section]) =>
        group(words(name), name === OPEN, Object.entries(section.properties)
          .filter(([key]) => !OF_THE_DATASET.includes(`${name}.${key}`))
          .map(([key, property]) => this.field(`${name}.${key}`, property)))),
      group("General", false, general));
    this.follow(this.defaults);
  }

  field(path, property) {
    const help = `help-${path}`;
    const made = { path, ...inputOf(property, property.description ? help : null) };
    this.fields.push(made);
    return h("div", { class: "setting" }, h("label", {}, words(path.split(".").at(-1)), made.input),
      property.description && h("small", { id: help, class: "dim" }, property.description));
  }

  /** Shows what a preset's whole config says in each field that is left empty. */
  follow(config) {
    for (const { path, input } of this.fields) {
      const kept = JSON.stringify(path.split(".").reduce((tree, key) => tree[key], config));
      if (input.tagName === "SELECT") input.options[0].textContent = `${kept.replaceAll('"', "")} (as the preset)`;
      else input.placeholder = kept.replaceAll('"', "");
    }
  }

  /** What was filled in, as a partial config. Throws where a field cannot be read. */
  value() {
    const tree = {};
    for (const { path, input, read } of this.fields) {
      if (!input.value.trim()) continue;
      const keys = path.split(".");
      const leaf = keys.pop();
      keys.reduce((node, key) => (node[key] ??= {}), tree)[leaf] = read(input, path);
    }
    return tree;
  }
}

const group = (title, isOpen, fields) => h("details", { open: isOpen }, h("summary", {}, title), h("div", { class: "fields" }, fields));

/** An input for a property of the schema, and how its value is read. */
function inputOf(property, help) {
  const { type, minimum, maximum } = property;
  const described = { "aria-describedby": help };
  const choices = choicesOf(property);
  if (choices) {
    return { input: h("select", described, h("option", { value: "" }), choices.map((choice) => h("option", { value: String(choice) }, String(choice)))),
      read: ({ value }) => choices.find((choice) => String(choice) === value) };
  }
  if (type === "number" || type === "integer") {
    return { input: h("input", { ...described, type: "number", min: minimum, max: maximum, step: type === "integer" ? 1 : "any" }),
      read: ({ value }) => Number(value) };
  }
  if (type === "string") return { input: h("input", described), read: ({ value }) => value.trim() };
  return { input: h("input", described), read: readJson };
}

/** All values of a property that has few, such as "auto", true and false; undefined for others. */
function choicesOf(property) {
  if (property.type === "boolean") return [true, false];
  if ("const" in property) return [property.const];
  if (!property.anyOf) return property.enum;
  const each = property.anyOf.map(choicesOf);
  return each.every(Boolean) ? each.flat() : undefined;
}

function readJson({ value, placeholder }, path) {
  try {
    return JSON.parse(value);
  } catch {
    throw new Error(`${path}: expected JSON such as ${placeholder}, got '${value}'`);
  }
}
