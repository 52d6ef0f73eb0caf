// The list of runs and answers, with a filter, and a choice of some to compare.

import { chip, h, when } from "./dom.js";

let filter = "";
const chosen = new Set();

export function places(studio) {
  const list = h("div", { class: "cards", role: "list" });
  const go = h("a", { class: "button", href: "#/compare" }, "Compare");
  const count = h("p", { class: "note", role: "status" });

  function show() {
    const kept = studio.places.filter((one) => `${one.name} ${one.about} ${one.kind} ${one.status}`.toLowerCase().includes(filter.toLowerCase()));
    list.replaceChildren(...kept.map((one) => card(one, update)));
    count.textContent = kept.length === studio.places.length ? `${kept.length} in ${studio.roots.join(", ")}` : `${kept.length} of ${studio.places.length}`;
    update();
  }
  function update() {
    const ids = studio.places.map((one) => one.id).filter((id) => chosen.has(id));
    go.href = `#/compare?ids=${ids.join(",")}`;
    go.toggleAttribute("hidden", ids.length < 2);
    go.textContent = `Compare ${ids.length}`;
  }
  const search = h("input", { id: "filter", type: "search", placeholder: "Filter by name, simulator or state", "aria-label": "Filter", value: filter });
  search.addEventListener("input", () => {
    filter = search.value;
    show();
  });
  show();
  const empty = h("p", {}, "There is nothing here yet. Begin a run: ", h("code", {}, "quincunx simulate two_moons --run first"));
  return { title: "Runs", nodes: [h("h1", {}, "Runs and answers"), studio.places.length ? h("div", { class: "bar" }, search, go) : empty, count, list] };
}

function card(one, update) {
  const box = h("input", { type: "checkbox", id: `choose-${one.id}`, "aria-label": `Choose ${one.name} to compare` });
  box.checked = chosen.has(one.id);
  box.addEventListener("change", () => {
    if (box.checked) chosen.add(one.id);
    else chosen.delete(one.id);
    update();
  });
  const share = one.planned && !one.loop ? h("progress", { max: one.planned, value: one.done, "aria-label": "simulations done" }) : null;
  return h(
    "article",
    { class: "card", role: "listitem" },
    h("div", { class: "head" }, h("h2", {}, h("a", { href: `#/${one.kind}/${one.id}` }, one.name)), box),
    h("p", {}, chip(one.status), " ", one.said),
    share,
    h("p", { class: "note" }, one.kind === "run" ? "run" : "answer", one.about ? ` of ${one.about.split("/").pop()}` : "", one.changed ? `, last change ${when(one.changed)}` : one.started ? `, ${one.started.replace("T", " ").slice(0, 19)}` : ""),
    one.failed ? h("p", { class: "warn" }, `${one.failed.toLocaleString("en-GB")} simulations failed`) : null,
  );
}
