// Pictures: fetched with the token, shown as images, kept in place while a newer one is drawn.

import { h } from "./dom.js";
import { image } from "./api.js";

const kept = new Map();
const asked = new Map();

// What nobody looks at any more need not be drawn: the studio skips what is not waited for.
export function leave() {
  for (const one of asked.values()) one.abort.abort();
  asked.clear();
}

function fetched(address, sheet) {
  const before = asked.get(address);
  if (before && before.version === sheet.version) return before.url;
  if (before) before.abort.abort();
  const abort = new AbortController();
  const url = image(`${address}${address.includes("?") ? "&" : "?"}v=${encodeURIComponent(sheet.version)}`, abort.signal);
  const one = { version: sheet.version, abort, url };
  asked.set(address, one);
  url.finally(() => asked.get(address) === one && asked.delete(address)).catch(() => {});
  return url;
}

export function pictures(place, sheets) {
  return h("div", { class: "pictures" }, sheets.map((sheet) => figure(`/api/places/${place}/pictures/${sheet.name}.svg`, sheet)));
}

export function figure(address, sheet) {
  const shown = h("img", { alt: sheet.alt, class: "picture" });
  // What is drawn wide is unreadable in half a page.
  shown.addEventListener("load", () => made.classList.toggle("broad", shown.naturalWidth > 760));
  const frame = h("div", { class: "frame", tabindex: "0", role: "group", "aria-label": sheet.title, "aria-busy": "true" }, shown);
  const before = kept.get(address);
  if (before) shown.src = before.url;
  if (before && before.version === sheet.version) {
    frame.removeAttribute("aria-busy");
  } else {
    fetched(address, sheet)
      .then((url) => {
        if (before && before.url !== url) setTimeout(() => URL.revokeObjectURL(before.url), 2000);
        kept.set(address, { version: sheet.version, url });
        shown.src = url;
        return shown.decode();
      })
      .catch((error) => error.name !== "AbortError" && frame.replaceChildren(h("p", { class: "warn" }, `No picture: ${error.message}`)))
      .finally(() => frame.removeAttribute("aria-busy"));
  }
  const made = h("figure", { id: sheet.name }, h("h3", {}, sheet.title), frame, h("figcaption", {}, sheet.caption));
  return made;
}
