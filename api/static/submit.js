// The form that queues a training run, an evaluation or a bulk embedding. A run's window and rate follow
// the dataset, so that they always fit; all its other settings are fields, made from the config's schema.

import { get, post } from "./service.js";
import { field, h } from "./elements.js";
import { SettingsForm } from "./settings.js";

export function submitForm(onSubmitted) {
  const kind = h("select", { onchange: () => showKind() },
    h("option", { value: "pretrain" }, "Train an encoder"), h("option", { value: "evaluate" }, "Evaluate an encoder"),
    h("option", { value: "embed" }, "Embed recordings"));
  const dataset = h("select", { required: true, onchange: () => showLabels() });
  const preset = h("select", { required: true, onchange: () => showPreset() });
  const model = h("select", { required: true });
  const name = h("input", { maxlength: 255, placeholder: "optional" });
  const labels = h("div", { class: "tools" });
  const recordings = h("input", { maxlength: 255, placeholder: "instead of the dataset" });
  const granularity = h("select", {}, h("option", { value: "window" }, "window"), h("option", { value: "segment" }, "segment of a window"));
  const extra = h("textarea", { rows: 4, spellcheck: "false" });
  const further = field("Further config, as JSON", extra);
  const place = h("div");
  const error = h("p", { class: "notice bad", role: "alert", hidden: true });
  const send = h("button", { class: "primary" }, "Submit");
  const known = new Map();
  const presets = new Map();
  let settings;

  const encoder = field("Encoder", model);
  const ofKind = {
    pretrain: [field("Preset", preset), place],
    evaluate: [encoder, further, h("fieldset", {}, h("legend", {}, "Labels to probe; none ticked: all"), labels)],
    embed: [encoder, further, field("Folder of recordings", recordings), field("An embedding per", granularity)],
  };
  const wide = [place, further];
  const fields = [...new Set(Object.values(ofKind).flat())];
  const examples = { evaluate: '{"seed": 1}', embed: '{"fs_hz": 125}' };

  function showKind() {
    for (const shown of fields) {
      shown.hidden = !ofKind[kind.value].includes(shown);
      for (const input of shown.querySelectorAll("input, select, textarea")) input.disabled = shown.hidden;
    }
    const takesRecordings = kind.value === "embed";
    dataset.required = !takesRecordings;
    extra.placeholder = examples[kind.value] ?? "";
    send.disabled = (!known.size && !takesRecordings) || (kind.value !== "pretrain" && !model.value);
  }

  function showLabels() {
    const names = known.get(dataset.value)?.labels ?? [];
    labels.replaceChildren(...names.map((label) => h("label", { class: "inline" }, h("input", { type: "checkbox", value: label }), label)));
    if (!names.length) labels.replaceChildren("this dataset has none");
    showKind();
  }

  function showPreset() {
    settings?.follow(presets.get(preset.value));
  }

  const given = () => (extra.value.trim() ? JSON.parse(extra.value) : {});

  const bodies = {
    pretrain: () => {
      const config = settings.value();
      const { fs_hz, window_samples } = known.get(dataset.value);
      config.data = { window_seconds: window_samples / fs_hz, fs_hz, ...config.data };
      return { preset: preset.value, config };
    },
    evaluate: () => {
      const ticked = [...labels.querySelectorAll("input:checked")].map((box) => box.value);
      return { config: { model: model.value, labels: ticked, ...given() } };
    },
    embed: () => ({
      dataset: recordings.value || dataset.value,
      config: { model: model.value, granularity: granularity.value, ...given() },
    }),
  };

  async function submit(event) {
    event.preventDefault();
    error.hidden = true;
    send.disabled = true;
    try {
      const body = { kind: kind.value, dataset: dataset.value, name: name.value || null, ...bodies[kind.value]() };
      onSubmitted(await post("/v1/jobs", body, { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()) }));
    } catch (problem) {
      error.textContent = problem instanceof SyntaxError ? `Further config is no JSON: ${problem.message}` : problem.message;
      error.hidden = false;
    } finally {
      send.disabled = false;
    }
  }

  async function fill() {
    const [datasets, offered, models, schema] = await Promise.all(
      [get("/v1/datasets?limit=1000"), get("/v1/presets"), get("/v1/models?limit=200"), get("/v1/config-schema")]);
    const sound = datasets.data.filter((found) => !found.error);
    for (const found of sound) known.set(found.name, found);
    dataset.replaceChildren(...sound.map((found) =>
      h("option", { value: found.name }, `${found.name} (${found.counts.train} windows of ${found.window_samples / found.fs_hz} s)`)));
    const chosenPreset = preset.value || "small";
    for (const found of offered.data) presets.set(found.name, found.config);
    preset.replaceChildren(...offered.data.map((found) => h("option", { value: found.name }, found.name)));
    preset.value = chosenPreset;
    if (!settings) { // what was filled in stays when the form is closed and opened again
      settings = new SettingsForm(schema);
      place.append(settings.node);
    }
    showPreset();
    const encoders = models.data.flatMap((found) => [[found.id, found.name ?? found.id], ...found.aliases.map((alias) => [alias, alias])]);
    model.replaceChildren(...encoders.map(([value, label]) => h("option", { value }, label)));
    if (!sound.length) dataset.replaceChildren(h("option", { value: "" }, "no dataset under the data root yet"));
    if (!models.data.length) model.replaceChildren(h("option", { value: "" }, "no encoder yet"));
    showLabels();
  }

  const details = h("details", { class: "card", ontoggle: () => details.open && fill().catch((problem) => {
    error.textContent = problem.message;
    error.hidden = false;
  }) },
    h("summary", {}, "New job"),
    h("form", { onsubmit: submit },
      h("div", { class: "fields" }, field("Kind", kind), field("Dataset", dataset), ...fields.filter((shown) => !wide.includes(shown)), field("Name", name)),
      ...wide,
      error,
      h("div", {}, send)));
  showKind();
  return details;
}
