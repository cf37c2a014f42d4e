// The dashboard: routes by the address's hash, one view at a time, each with its own polling.

import { apiKey, get, pause, Problem } from "./service.js";
import { path } from "./address.js";
import { badge, card, field, h, number, percent, row, table, time, update } from "./elements.js";
import { showDataset, showDatasets, showWindow } from "./datasets.js";
import { showEmbed } from "./embed.js";
import { showJob } from "./job.js";
import { showMap } from "./map.js";
import { showReconstructions } from "./reconstructions.js";
import { submitForm } from "./submit.js";

const main = document.getElementById("main");
const link = document.getElementById("link");
const REFRESH_MS = 2000;
const PAGE = 20;

// ------------------------------------------------------------------------------------------ views

async function showJobs(signal) {
  let limit = PAGE;
  const list = h("div");
  const more = h("button", { hidden: true, onclick: () => { limit += PAGE; refresh(); } }, "Show more");
  const form = submitForm((job) => { location.hash = `#/jobs/${job.id}`; });
  main.replaceChildren(h("h1", {}, "Jobs"), form, h("section", { class: "card", "aria-label": "Jobs" }, list, more));

  async function refresh() {
    const { data, has_more } = await get(`/v1/jobs?limit=${limit}`, signal);
    more.hidden = !has_more;
    update(list, data.length ? jobsTable(data) : h("p", { class: "dim" }, "No jobs yet. Submit one above, or with ",
      h("code", {}, "ppgssl jobs submit"), "."));
  }
  await repeat(refresh, signal);
}

const jobsTable = (jobs) =>
  table(["Job", "Kind", "Status", "Progress", "Best validation loss", "Dataset", "Submitted"], jobs.map((job) => row(
    h("a", { href: `#/jobs/${job.id}` }, job.name ?? job.id),
    job.kind,
    badge(job.status),
    job.progress ? h("span", {}, h("progress", { value: job.progress.fraction, max: 1, "aria-label": "progress" }),
      `${percent(job.progress.fraction)}, ${job.progress.stage ?? `epoch ${job.progress.epoch}/${job.progress.epochs}`}`) : "–",
    h("span", { class: "number" }, number(job.best?.val_loss)),
    job.dataset,
    time(job.created_at),
  )), { rowsOnPhones: true });

async function showModels(signal) {
  const list = h("div", { class: "card" });
  main.replaceChildren(h("h1", {}, "Models"), list);
  await repeat(async () => {
    const { data } = await get("/v1/models?limit=200", signal);
    update(list, data.length ? table(["Model", "Aliases", "Window", "Embedding", "Validation loss", "sha256"], data.map((model) => row(
      model.checkpoint ? h("a", { href: `#/jobs/${model.id}` }, model.name ?? model.id) : model.id,
      model.aliases.join(", ") || "–",
      `${number(model.window_samples / model.fs_hz)} s at ${number(model.fs_hz)} Hz`,
      String(model.embedding_dim),
      h("span", { class: "number" }, number(model.val_loss)),
      h("code", { title: model.sha256 }, model.sha256.slice(0, 12)),
    )), { rowsOnPhones: true }) : h("p", { class: "dim" }, "No encoder yet: a job has one as soon as its first epoch was validated."));
  }, signal, 10_000);
}

function askForKey() {
  const input = h("input", { type: "password", autocomplete: "current-password", required: true });
  const form = h("form", { onsubmit: (event) => { event.preventDefault(); apiKey.set(input.value); route(); } },
    field("API key", input), h("div", {}, h("button", { class: "primary" }, "Open")));
  main.replaceChildren(card("This service needs its key", h("p", { class: "dim" }, "It is kept until this tab is closed."), form));
  input.focus();
}

// ---------------------------------------------------------------------------------------- routing

/** Runs `work` now and again until the view is left; tells of a service that cannot be reached. */
async function repeat(work, signal, ms = REFRESH_MS) {
  while (!signal.aborted) {
    try {
      await work();
      link.textContent = "";
    } catch (error) {
      if (signal.aborted) return;
      if (error instanceof Problem && error.status < 500) throw error;
      link.textContent = "The service cannot be reached; trying again";
    }
    await pause(ms, signal);
    while (document.hidden && !signal.aborted) await pause(500, signal);
  }
}

const ROUTES = [
  [/^#\/jobs\/([\w-]+)$/, (signal, id) => showJob(main, id, signal, repeat)],
  [/^#\/jobs\/([\w-]+)\/reconstructions$/, (signal, id) => showReconstructions(main, id, signal, repeat)],
  [/^#\/jobs\/([\w-]+)\/map$/, (signal, id) => showMap(main, id, signal)],
  [/^#\/datasets$/, (signal) => showDatasets(main, signal, repeat)],
  [/^#\/datasets\/([^/]+)$/, (signal, name) => showDataset(main, signal, name)],
  [/^#\/datasets\/([^/]+)\/windows\/(\d+)$/, (signal, name, id) => showWindow(main, signal, name, id)],
  [/^#\/models$/, showModels],
  [/^#\/embed$/, (signal) => showEmbed(main, signal)],
  [/^/, showJobs],
];

let current = new AbortController();

async function route() {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  const here = path();
  for (const anchor of document.querySelectorAll("nav a")) {
    const isHere = anchor.hash === "#/" ? here === "#/" || here.startsWith("#/jobs") : anchor.hash && here.startsWith(anchor.hash);
    if (isHere) anchor.setAttribute("aria-current", "page");
    else anchor.removeAttribute("aria-current");
  }
  const [pattern, show] = ROUTES.find(([known]) => known.test(here));
  try {
    await show(signal, ...pattern.exec(here).slice(1));
  } catch (error) {
    if (signal.aborted) return;
    if (error.status === 401) askForKey();
    else main.replaceChildren(h("p", { class: "notice bad" }, error.message));
  }
}

addEventListener("hashchange", () => { route(); main.focus(); scrollTo(0, 0); });
route();
