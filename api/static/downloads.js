// Links to files, which carry the key where there is one.

import { apiKey, save } from "./service.js";
import { h } from "./elements.js";

export const fileLink = (path, name) =>
  h("a", { href: path, download: name, onclick: (event) => {
    if (!apiKey.get()) return;
    event.preventDefault();
    save(path, name).catch((problem) => alert(problem.message));
  } }, name);
