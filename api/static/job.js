// One job: where it is, its curves as they grow, how healthy the embedding is, what it left behind.

import { get, post, watch } from "./service.js";
import { ConfigView } from "./config.js";
import { fileLink } from "./downloads.js";
import { EmbeddedView } from "./embedded.js";
import { ago, badge, bytes, card, duration, facts, h, number, percent, row, table, time, update, words } from "./elements.js";
import { healthCharts } from "./health.js";
import { LossesCard } from "./losses.js";
import { PaceCard } from "./pace.js";
import { ReportView } from "./report.js";

const LOG_LINES = 200;
const EPOCHS_SHOWN = 12;
const FINISHED = ["succeeded", "failed", "cancelled"];
const CAN = {
  pause: (job) => ["queued", "running", "stalled"].includes(job.status) && !job.requested_action,
  resume: (job) => job.status === "paused" || (job.status === "running" && job.requested_action === "pause"),
  cancel: (job) => !FINISHED.includes(job.status) && job.requested_action !== "cancel",
};

export async function showJob(main, id, signal, repeat) {
  const page = new JobPage(id);
  main.replaceChildren(...page.nodes);
  signal.addEventListener("abort", () => page.close());
  await page.load(signal);
  watch(id, page.job.last_event, (event) => page.take(event, signal), signal);
  await repeat(() => page.refresh(signal), signal);
}

class JobPage {
  constructor(id) {
    this.id = id;
    this.losses = new LossesCard(id);
    this.pace = new PaceCard(id);
    this.lastLine = 0;
    this.head = h("div", { class: "bar" });
    this.state = h("section", { class: "card", "aria-label": "State" });
    this.notices = h("section", { class: "notices", "aria-label": "Notices" });
    this.health = h("div");
    this.epochs = h("div");
    this.allFigures = h("details", { hidden: true }, h("summary", {}, "Every figure by epoch"), this.epochs);
    this.reconstructions = card("Reconstructions", h("p", {}, h("a", { href: `#/jobs/${id}/reconstructions` }, "Held-out windows, epoch by epoch"),
      ": input, target, output, residual and their spectra."));
    this.files = h("div");
    this.log = h("pre", { class: "log", tabindex: 0, role: "group", "aria-label": "Lines of the log" });
    this.config = new ConfigView();
    this.result = { evaluate: new ReportView(id), embed: new EmbeddedView(id) };
    this.ofTraining = [this.losses.node, card("Health of the embedding", this.health, this.allFigures), this.reconstructions, card("Checkpoints", this.files), this.config.node];
    this.nodes = [this.head, this.notices, this.state, ...this.results.map(({ node }) => node), ...this.ofTraining, this.pace.node, card("Log", this.log)];
  }

  close() {
    this.losses.close();
    this.pace.close();
  }

  // ------------------------------------------------------------------------------------- loading

  async load(signal) {
    this.job = await get(`/v1/jobs/${this.id}`, signal); // before the losses: none falls between
    await this.losses.load(signal);
    await this.refresh(signal);
  }

  async refresh(signal) {
    this.job = await get(`/v1/jobs/${this.id}`, signal);
    const { data } = await get(`/v1/jobs/${this.id}/checkpoints`, signal);
    this.showState();
    this.showKind();
    this.showFiles(data);
    await (this.result[this.job.kind] ?? this.config).load(this.job, signal);
    await this.losses.refresh(signal);
    this.showHealth();
    await this.pace.load(signal);
    await this.readLog(signal);
  }

  async readLog(signal) {
    const { data } = await get(`/v1/jobs/${this.id}/logs?tail=${LOG_LINES}&after=${this.lastLine}`, signal);
    const text = data.map((line) => `${line.text}\n`).join("");
    const wasAtEnd = this.log.scrollTop + this.log.clientHeight >= this.log.scrollHeight - 8;
    if (this.lastLine) this.log.append(text);
    else this.log.textContent = text || "Nothing written yet.";
    this.lastLine = data.at(-1)?.line ?? this.lastLine;
    if (wasAtEnd) this.log.scrollTop = this.log.scrollHeight;
  }

  take(event, signal) {
    if (event.type === "losses") {
      for (const point of event.data.points) this.losses.add(point);
      if (event.data.points.some(({ split }) => split === "val")) this.showHealth();
    } else if (event.type === "progress") {
      this.job.progress = event.data;
      this.showState();
    } else {
      this.refresh(signal).catch(() => {}); // the polling tells of a service that is away
    }
  }

  // ------------------------------------------------------------------------------------- showing

  get results() {
    return Object.values(this.result);
  }

  showKind() {
    const shown = this.result[this.job.kind];
    for (const view of this.results) view.node.hidden = view !== shown;
    for (const node of this.ofTraining) node.hidden = shown !== undefined;
  }

  showState() {
    const { job } = this;
    const asked = job.requested_action ? ` (${job.requested_action} requested)` : "";
    update(this.head, h("h1", {}, job.name ?? job.id), h("div", { class: "tools" }, badge(job.status), asked));
    if (!this.buttons) {
      this.buttons = Object.fromEntries(Object.keys(CAN).map((action) => [action,
        h("button", { class: action === "cancel" ? "danger" : null, onclick: () => this.ask(action) }, words(action))]));
      this.bar = h("progress", { max: 1, value: 0, "aria-label": "Progress" });
      this.figures = h("div");
      this.state.replaceChildren(
        h("div", { class: "bar" }, h("h2", {}, "Progress"), h("div", { class: "actions" }, Object.values(this.buttons))),
        this.bar, this.figures);
    }
    for (const [action, button] of Object.entries(this.buttons)) button.disabled = !CAN[action](job);
    this.bar.value = job.status === "succeeded" ? 1 : job.progress?.fraction ?? 0;
    update(this.figures, this.stateFacts());
    update(this.notices,
      job.error && h("p", { class: "notice bad" }, `${job.error.code}: ${job.error.message}`),
      job.warnings.map((warning) => h("p", { class: "notice" }, warning)));
  }

  stateFacts() {
    const { job } = this;
    const { progress, plan, best } = job;
    const ran = job.started_at && (new Date(job.finished_at ?? Date.now()) - new Date(job.started_at)) / 1000;
    return facts({
      Done: progress && percent(progress.fraction),
      Stage: progress?.stage,
      Epoch: progress?.epochs && `${progress.epoch} of ${progress.epochs}`,
      Step: progress?.epochs && `${progress.step.toLocaleString("en")} of ${progress.steps.toLocaleString("en")}`,
      "Time left": progress && !FINISHED.includes(job.status) ? duration(progress.eta_s) : null,
      Speed: progress?.windows_per_s ? `${number(progress.windows_per_s, 3)} windows/s` : null,
      "Device's load": progress?.device_memory_bytes && !FINISHED.includes(job.status)
        ? `${number(progress.device_memory_bytes / 2 ** 30, 3)} GiB${progress.device_utilisation == null ? "" : `, ${percent(progress.device_utilisation)}`}` : null,
      "Best validation loss": best && `${number(best.val_loss)} (epoch ${best.epoch})`,
      Dataset: job.dataset,
      Preset: job.preset,
      Encoder: job.config.encoder && job.config.model,
      "Encoder's sha256": job.config.encoder?.sha256.slice(0, 12),
      Device: plan && `${plan.device}, ${plan.precision}`,
      Parameters: plan && `${(plan.parameters / 1e6).toFixed(2)} M`,
      Attempt: job.attempt > 0 ? `${job.attempt} of ${job.max_attempts}` : null,
      Ran: ran ? duration(ran) : null,
      Submitted: ago(job.created_at),
      Id: job.id,
    });
  }

  async ask(action) {
    if (action === "cancel" && !confirm("Cancel this job? It cannot be resumed.")) return;
    try {
      this.job = await post(`/v1/jobs/${this.id}/${action}`);
      this.showState();
    } catch (problem) {
      alert(problem.message);
    }
  }

  showHealth() {
    const val = this.losses.validations();
    if (!val.length) {
      update(this.health, h("p", { class: "dim" }, "Measured on the validation split after each epoch."));
      return;
    }
    const ofTraining = new Set(this.losses.names());
    const names = Object.keys(val.at(-1).values).filter((name) => !ofTraining.has(name));
    const rows = val.slice(-EPOCHS_SHOWN).reverse().map((point) =>
      row(String(point.epoch), ...["total", ...names].map((name) => h("td", { class: "number" }, number(point.values[name])))));
    update(this.health, healthCharts(val));
    update(this.epochs, table(["Epoch", "Validation loss", ...names.map(words)], rows));
    this.allFigures.hidden = false;
  }

  showFiles(checkpoints) {
    const entries = checkpoints.flatMap((checkpoint) => checkpoint.files.map((file) => row(
      checkpoint.name,
      fileLink(`/v1/jobs/${this.id}/checkpoints/${checkpoint.name}/${file.name}`, file.name),
      bytes(file.size),
      `epoch ${checkpoint.epoch}, step ${checkpoint.step}`,
      h("code", { title: file.sha256 }, file.sha256.slice(0, 12)),
      time(checkpoint.created_at))));
    const key = JSON.stringify(checkpoints);
    if (key === this.shownFiles) return; // handlers on the links do not survive a replacement for nothing
    this.shownFiles = key;
    this.files.replaceChildren(entries.length
      ? table(["Checkpoint", "File", "Size", "From", "sha256", "Written"], entries, { rowsOnPhones: true })
      : h("p", { class: "dim" }, "None yet."));
  }
}
