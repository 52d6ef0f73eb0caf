// What a person may do with a loop: approve or override, tell data, go on, overrule, set aside, stop.

import { post } from "./api.js";
import { design, h, number } from "./dom.js";

export function actions(studio, place, loop) {
  const said = h("p", { class: "said", role: "status" });
  const by = h("input", { id: "by", value: studio.by, required: true, autocomplete: "off" });
  const parts = [];

  async function act(action, told) {
    said.textContent = "…";
    said.setAttribute("role", "status");
    try {
      const job = await post(`/api/places/${place.id}/do`, { action, by: by.value.trim(), ...told });
      said.replaceChildren("Under way: ", h("a", { href: "#/jobs" }, `command ${job.number}`), ".");
    } catch (error) {
      said.textContent = error.message;
      said.setAttribute("role", "alert");
    }
  }
  const form = (id, title, fields, button, send) => {
    const made = h("form", { id, "aria-label": title }, h("h3", {}, title), fields, h("button", { id: `${id}-send` }, button));
    made.addEventListener("submit", (event) => {
      event.preventDefault();
      delete made.dataset.filled;
      send();
    });
    made.addEventListener("input", () => {
      made.dataset.filled = "";
    });
    parts.push(made);
  };
  const line = (id, text, attributes = {}) => {
    const input = h("input", { id, autocomplete: "off", ...attributes });
    return [input, h("p", {}, h("label", { for: id }, text), input)];
  };

  if (loop.state === "approve" && loop.proposal) {
    const [other, field] = line("override", "or another design", { placeholder: example(loop.proposal.design) });
    form("approve", "The proposal", field, `Approve ${design(loop.proposal.design)}`, () => act("approve", { design: other.value.trim() }));
    const button = parts[parts.length - 1].querySelector("button");
    other.addEventListener("input", () => {
      button.textContent = other.value.trim() ? "Take this design instead" : `Approve ${design(loop.proposal.design)}`;
    });
  }
  if (loop.state === "propose" || loop.state === "update") form("goon", "Go on", [], "Learn, check and propose", () => act("go on", {}));
  if (loop.state === "propose" || loop.state === "approve") {
    form("all", "All that is left", h("p", { class: "note" }, "Where the experiment can be called, every proposal is accepted until the loop stops."), "Run to the end", () => act("go on", { approve: true }));
  }
  if (loop.state !== "stopped") {
    const file = h("input", { id: "file", type: "file", accept: ".csv,.json" });
    const pasted = h("textarea", { id: "pasted", rows: 4, spellcheck: "false", placeholder: "0.41\n-0.27" });
    const [at, where] = line("at", "measured at other settings than approved", { placeholder: loop.proposal ? example(loop.proposal.design) : "" });
    const again = h("input", { id: "again", type: "checkbox" });
    form(
      "tell",
      "Data",
      [
        h("p", {}, h("label", { for: "file" }, "a CSV or JSON file"), file),
        h("p", {}, h("label", { for: "pasted" }, "or its text"), pasted),
        where,
        h("p", {}, again, h("label", { for: "again", class: "after" }, "the same numbers were measured twice")),
      ],
      "Tell these data",
      async () => {
        const chosen = file.files[0];
        const content = chosen ? await chosen.text() : pasted.value;
        const name = chosen ? chosen.name : /^\s*[[{]/.test(pasted.value) ? "told.json" : "told.csv";
        act("tell", { file: name, content, design: at.value.trim(), again: again.checked });
      },
    );
  }
  if (loop.state === "needs attention" && loop.in_doubt) {
    const [why, field] = line("why-overrule", "why", { required: true });
    form("overrule", "Go on with these data all the same", field, "Overrule the check", () => act("overrule", { why: why.value.trim() }));
    const [reason, other] = line("why-aside", "why", { required: true });
    form("aside", `Go on without experiment ${loop.in_doubt.step}`, other, "Set it aside", () => act("set aside", { why: reason.value.trim(), experiment: loop.in_doubt.step }));
  }
  if (loop.state !== "stopped") {
    const [why, field] = line("why-stop", "why", { required: true });
    form("stop", "End the loop", field, "Stop", () => act("stop", { why: why.value.trim() }));
  }
  if (!parts.length) return null;
  return h("div", { class: "actions" }, h("p", {}, h("label", { for: "by" }, "decided and measured by"), by), h("div", { class: "forms" }, parts), said);
}

// A design as it is typed.
function example(settings) {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${[value].flat().map((one) => number(one)).join(",")}`)
    .join(",");
}
