// The API as the dashboard uses it: requests with the key, errors with their code, streams that resume.

const KEY = "ppgssl-api-key";

export const apiKey = {
  get: () => sessionStorage.getItem(KEY),
  set: (value) => sessionStorage.setItem(KEY, value),
};

export class Problem extends Error {
  constructor(status, members) {
    super(members.detail ?? `HTTP ${status}`);
    this.status = status;
    this.code = members.code ?? "unknown";
  }
}

async function request(path, options = {}) {
  const headers = new Headers(options.headers);
  if (apiKey.get()) headers.set("Authorization", `Bearer ${apiKey.get()}`);
  const answer = await fetch(path, { ...options, headers });
  if (!answer.ok) throw new Problem(answer.status, await answer.json().catch(() => ({})));
  return answer;
}

export const get = async (path, signal) => (await request(path, { signal })).json();

export const post = async (path, body, headers = {}) =>
  (await request(path, {
    method: "POST",
    headers: body === undefined ? headers : { "Content-Type": "application/json", ...headers },
    body: body === undefined ? undefined : JSON.stringify(body),
  })).json();

/** Sends samples as raw float32, little-endian as every machine that runs a browser is. */
export const postSamples = async (path, samples) =>
  (await request(path, {
    method: "POST", headers: { "Content-Type": "application/octet-stream", Accept: "application/json" }, body: samples,
  })).json();

/** Fetches a file with the key, which a plain link cannot carry, and hands it to the browser. */
export async function save(path, name) {
  const url = URL.createObjectURL(await (await request(path)).blob());
  const link = Object.assign(document.createElement("a"), { href: url, download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}

/** A picture as a data URL: an image's own request could not carry the key. */
export async function fetchPicture(path, signal) {
  const blob = await (await request(path, { signal })).blob();
  return new Promise((resolve, reject) => {
    const reader = Object.assign(new FileReader(), { onload: () => resolve(reader.result), onerror: () => reject(reader.error) });
    reader.readAsDataURL(blob);
  });
}

export const pause = (ms, signal) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => { clearTimeout(timer); resolve(); }, { once: true });
  });

/** Server-Sent Events of a job after `last`, by fetch, since EventSource cannot send a key. */
export async function watch(jobId, last, onEvent, signal) {
  while (!signal.aborted) {
    try {
      const answer = await request(`/v1/jobs/${jobId}/events`, { signal, headers: { "Last-Event-ID": String(last) } });
      for await (const event of parse(answer.body)) {
        last = event.id;
        onEvent(event);
      }
      return; // the service ends the stream after the terminal event only
    } catch (error) {
      if (signal.aborted || (error instanceof Problem && error.status < 500)) return;
    }
    await pause(2000, signal);
  }
}

async function* parse(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    text += value;
    const blocks = text.split("\n\n");
    text = blocks.pop();
    for (const block of blocks) {
      const members = Object.fromEntries(block.split("\n").map((line) => {
        const colon = line.indexOf(":");
        return [line.slice(0, colon), line.slice(colon + 1).trimStart()];
      }));
      if (members.data) yield { id: Number(members.id), type: members.event, data: JSON.parse(members.data) };
    }
  }
}
