// The form that queues a training run, an evaluation or a bulk embedding. A run's window and rate follow
// the dataset, so that they always fit.

import { get, post } from "./service.js";
import { field, h } from "./elements.js";

export function submitForm(onSubmitted) {
  const kind = h("select", { onchange: () => showKind() },
    h("option", { value: "pretrain" }, "Train an encoder"), h("option", { value: "evaluate" }, "Evaluate an encoder"),
    h("option", { value: "embed" }, "Embed recordings"));
  const dataset = h("select", { required: true, onchange: () => showLabels() });
  const preset = h("select", { required: true });
  const model = h("select", { required: true });
  const name = h("input", { maxlength: 255, placeholder: "optional" });
  const epochs = h("input", { type: "number", min: 1, max: 10000, placeholder: "as the preset says" });
  const labels = h("div", { class: "tools" });
  const recordings = h("input", { maxlength: 255, placeholder: "instead of the dataset" });
  const granularity = h("select", {}, h("option", { value: "window" }, "window"), h("option", { value: "segment" }, "segment of a window"));
  const extra = h("textarea", { rows: 4, spellcheck: "false" });
  const error = h("p", { class: "notice bad", role: "alert", hidden: true });
  const send = h("button", { class: "primary" }, "Submit");
  const known = new Map();

  const encoder = field("Encoder", model);
  const ofKind = {
    pretrain: [field("Preset", preset), field("Epochs", epochs)],
    evaluate: [encoder, h("fieldset", {}, h("legend", {}, "Labels to probe; none ticked: all"), labels)],
    embed: [encoder, field("Folder of recordings", recordings), field("An embedding per", granularity)],
  };
  const fields = [...new Set(Object.values(ofKind).flat())];
  const examples = { pretrain: '{"training": {"learning_rate": 0.0005}}', evaluate: '{"seed": 1}', embed: '{"fs_hz": 125}' };

  function showKind() {
    for (const shown of fields) {
      shown.hidden = !ofKind[kind.value].includes(shown);
      for (const input of shown.querySelectorAll("input, select")) input.disabled = shown.hidden;
    }
    const takesRecordings = kind.value === "embed";
    dataset.required = !takesRecordings;
    extra.placeholder = examples[kind.value];
    send.disabled = (!known.size && !takesRecordings) || (kind.value !== "pretrain" && !model.value);
  }

  function showLabels() {
    const names = known.get(dataset.value)?.labels ?? [];
    labels.replaceChildren(...names.map((label) => h("label", { class: "inline" }, h("input", { type: "checkbox", value: label }), label)));
    if (!names.length) labels.replaceChildren("this dataset has none");
    showKind();
  }

  const given = () => (extra.value.trim() ? JSON.parse(extra.value) : {});

  const bodies = {
    pretrain: () => {
      const config = given();
      const { fs_hz, window_samples } = known.get(dataset.value);
      config.data = { window_seconds: window_samples / fs_hz, fs_hz, ...config.data };
      if (epochs.value) config.training = { ...config.training, epochs: Number(epochs.value) };
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
    const [datasets, presets, models] = await Promise.all(
      [get("/v1/datasets?limit=1000"), get("/v1/presets"), get("/v1/models?limit=200")]);
    const sound = datasets.data.filter((found) => !found.error);
    for (const found of sound) known.set(found.name, found);
    dataset.replaceChildren(...sound.map((found) =>
      h("option", { value: found.name }, `${found.name} (${found.counts.train} windows of ${found.window_samples / found.fs_hz} s)`)));
    preset.replaceChildren(...presets.data.map((found) => h("option", { value: found.name }, found.name)));
    preset.value = "small";
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
      h("div", { class: "fields" }, field("Kind", kind), field("Dataset", dataset), ...fields, field("Name", name)),
      field("Further config, as JSON", extra),
      error,
      h("div", {}, send)));
  showKind();
  return details;
}
