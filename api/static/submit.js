// The form that queues a training run. Window and rate follow the dataset, so that they always fit.

import { get, post } from "./service.js";
import { field, h } from "./elements.js";

export function submitForm(onSubmitted) {
  const dataset = h("select", { required: true });
  const preset = h("select", { required: true });
  const name = h("input", { maxlength: 255, placeholder: "optional" });
  const epochs = h("input", { type: "number", min: 1, max: 10000, placeholder: "as the preset says" });
  const extra = h("textarea", { rows: 4, spellcheck: "false", placeholder: '{"training": {"learning_rate": 0.0005}}' });
  const error = h("p", { class: "notice bad", role: "alert", hidden: true });
  const send = h("button", { class: "primary" }, "Submit");
  const known = new Map();

  const config = () => {
    const tree = extra.value.trim() ? JSON.parse(extra.value) : {};
    const { fs_hz, window_samples } = known.get(dataset.value);
    tree.data = { window_seconds: window_samples / fs_hz, fs_hz, ...tree.data };
    if (epochs.value) tree.training = { ...tree.training, epochs: Number(epochs.value) };
    return tree;
  };

  async function submit(event) {
    event.preventDefault();
    error.hidden = true;
    send.disabled = true;
    try {
      const body = { kind: "pretrain", dataset: dataset.value, preset: preset.value, config: config(), name: name.value || null };
      onSubmitted(await post("/v1/jobs", body, { "Idempotency-Key": crypto.randomUUID?.() ?? String(Math.random()) }));
    } catch (problem) {
      error.textContent = problem instanceof SyntaxError ? `Further config is no JSON: ${problem.message}` : problem.message;
      error.hidden = false;
    } finally {
      send.disabled = false;
    }
  }

  async function fill() {
    const [datasets, presets] = await Promise.all([get("/v1/datasets?limit=1000"), get("/v1/presets")]);
    const sound = datasets.data.filter((found) => !found.error);
    for (const found of sound) known.set(found.name, found);
    dataset.replaceChildren(...sound.map((found) =>
      h("option", { value: found.name }, `${found.name} (${found.counts.train} windows of ${found.window_samples / found.fs_hz} s)`)));
    preset.replaceChildren(...presets.data.map((found) => h("option", { value: found.name }, found.name)));
    preset.value = "small";
    send.disabled = !sound.length;
    if (!sound.length) dataset.replaceChildren(h("option", { value: "" }, "no dataset under the data root yet"));
  }

  const details = h("details", { class: "card", ontoggle: () => details.open && fill().catch((problem) => {
    error.textContent = problem.message;
    error.hidden = false;
  }) },
    h("summary", {}, "New job"),
    h("form", { onsubmit: submit },
      h("div", { class: "fields" }, field("Dataset", dataset), field("Preset", preset), field("Epochs", epochs), field("Name", name)),
      field("Further config, as JSON over the preset", extra),
      error,
      h("div", {}, send)));
  return details;
}
