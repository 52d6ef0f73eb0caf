// Pictures: fetched with the token, shown as images, kept in place while a newer one is drawn.

import { h } from "./dom.js";
import { image } from "./api.js";

const kept = new Map();

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
    image(`${address}${address.includes("?") ? "&" : "?"}v=${encodeURIComponent(sheet.version)}`)
      .then((url) => {
        if (before) setTimeout(() => URL.revokeObjectURL(before.url), 2000);
        kept.set(address, { version: sheet.version, url });
        shown.src = url;
        return shown.decode();
      })
      .catch((error) => frame.replaceChildren(h("p", { class: "warn" }, `No picture: ${error.message}`)))
      .finally(() => frame.removeAttribute("aria-busy"));
  }
  const made = h("figure", { id: sheet.name }, h("h3", {}, sheet.title), frame, h("figcaption", {}, sheet.caption));
  return made;
}
