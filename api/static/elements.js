// Small pieces of the page. Text is always set as text: nothing from a job is read as HTML.

export function h(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "value") node.value = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}

export function svg(tag, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  node.append(...children);
  return node;
}

export const badge = (status) => h("span", { class: "badge", "data-status": status }, status);

export const card = (title, ...children) => h("section", { class: "card", "aria-label": title }, h("h2", {}, title), ...children);

export const table = (headings, rows, { rowsOnPhones = false } = {}) =>
  h("div", { class: "scroll" },
    h("table", { class: rowsOnPhones ? "rows" : null },
      h("thead", {}, h("tr", {}, headings.map((heading) => h("th", { scope: "col" }, heading)))),
      h("tbody", {}, rows)));

export const row = (...cells) => h("tr", {}, cells.map((cell) => (cell?.tagName === "TD" ? cell : h("td", {}, cell ?? "–"))));

export const facts = (entries) =>
  h("dl", { class: "facts" },
    Object.entries(entries).filter(([, value]) => value !== null && value !== undefined && value !== "")
      .map(([label, value]) => h("div", {}, h("dt", {}, label), h("dd", { class: "number" }, value))));

export const field = (label, input) => h("label", {}, label, input);

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  const whole = Math.round(seconds);
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60)];
  if (hours) return `${hours} h ${minutes} min`;
  return minutes ? `${minutes} min ${whole % 60} s` : `${whole} s`;
}

export const ago = (time) => (time ? `${duration((Date.now() - new Date(time)) / 1000)} ago` : "–");

export const time = (text) => h("time", { datetime: text, title: new Date(text).toLocaleString() }, ago(text));

export const bytes = (size) => (size >= 1e6 ? `${(size / 1e6).toFixed(1)} MB` : `${(size / 1e3).toFixed(1)} kB`);

export const percent = (share) => `${Math.floor(share * 100)} %`;

/** Replaces a node's children only where they changed; a link that had the focus keeps it. */
export function update(node, ...children) {
  const fresh = h("div", {}, ...children);
  if (node.innerHTML === fresh.innerHTML) return;
  const focused = node.contains(document.activeElement) ? document.activeElement.getAttribute("href") : null;
  node.replaceChildren(...fresh.childNodes);
  if (focused) [...node.querySelectorAll("a")].find((link) => link.getAttribute("href") === focused)?.focus({ preventScroll: true });
}

export const words = (name) => name[0].toUpperCase() + name.slice(1).replaceAll("_", " ");

export const number = (value, digits = 4) => {
  if (value === null || value === undefined || !Number.isFinite(value)) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2);
  return String(Number(value.toPrecision(digits)));
};
