// A form for every setting of a training run, made from the config's JSON schema; empty fields stay as the preset has them.

import { defaultsOf } from "./config.js";
import { h, words } from "./elements.js";

const OF_THE_DATASET = ["data.window_seconds", "data.fs_hz"]; // they follow the windows that are trained on
const OPEN = "training";
const NUMBER = "number";

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
    return h("div", { class: "setting" }, h("label", {}, words(path.split(".").at(-1)), made.input), made.beside,
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

/** An input for a property of the schema, what stands beside it, and how its value is read. */
function inputOf(property, help) {
  const described = { "aria-describedby": help };
  const choices = choicesOf(property);
  if (choices) return { input: choiceOf(choices, described), read: ({ value }) => chosenOf(choices, value) };
  const number = property.anyOf?.find(isNumber);
  const others = number && choicesOf({ anyOf: property.anyOf.filter((each) => each !== number) });
  if (others) return choiceOrNumber(others, number, described);
  if (isNumber(property)) return { input: numberOf(property, described), read: ({ value }) => Number(value) };
  const { type } = property;
  if (type === "string") return { input: h("input", described), read: ({ value }) => value.trim() };
  return { input: h("input", described), read: readJson };
}

const isNumber = ({ type }) => type === "number" || type === "integer";

const numberOf = ({ type, minimum, maximum }, attributes) =>
  h("input", { ...attributes, type: "number", min: minimum, max: maximum, step: type === "integer" ? 1 : "any" });

const choiceOf = (choices, attributes, ...further) =>
  h("select", attributes, h("option", { value: "" }), choices.map((choice) => h("option", { value: String(choice) }, choice === null ? "none" : String(choice))), further);

const chosenOf = (choices, value) => choices.find((choice) => String(choice) === value);

/** Such as "auto" or a number: the number has a field of its own, which is there when it is wanted. */
function choiceOrNumber(choices, number, described) {
  const beside = numberOf(number, { ...described, "aria-label": "The number", hidden: true });
  const input = choiceOf(choices, { ...described, onchange: () => { beside.hidden = input.value !== NUMBER; } }, h("option", { value: NUMBER }, "a number"));
  const read = ({ value }, path) => {
    if (value !== NUMBER) return chosenOf(choices, value);
    if (!beside.value) throw new Error(`${path}: expected ${choices.map((choice) => choice ?? "none").join(", ")} or a number, got none`);
    return Number(beside.value);
  };
  return { input, beside, read };
}

/** All values of a property that has few, such as "auto", true and false; undefined for others. */
function choicesOf(property) {
  if (property.type === "boolean") return [true, false];
  if (property.type === "null") return [null];
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
