// What the page shows, in its address: a path behind the #, and what is chosen on it behind a ?.

export const path = () => (location.hash || "#/").split("?")[0];

const choices = () => new URLSearchParams(location.hash.split("?")[1] ?? "");

export const chosen = (name) => choices().get(name);

/** Puts choices into the address, so that it can be shared; an empty one is left out. */
export function choose(changes) {
  const kept = choices();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === "" || value === false) kept.delete(name);
    else kept.set(name, value);
  }
  const text = kept.toString().replaceAll("%2C", ",");
  history.replaceState(null, "", text ? `${path()}?${text}` : path());
}
