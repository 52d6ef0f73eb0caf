// Commands that were started here, and beginning something new.

import { get, post } from "./api.js";
import { chip, h, when } from "./dom.js";

export async function jobs(studio) {
  const found = await get("/api/jobs");
  const list = found.jobs.map((job) => {
    const state = job.ended === null ? (job.begun ? "running" : "waiting") : !job.begun ? "interrupted" : job.code === 0 ? "done" : job.code === 3 ? "warn" : job.code === 4 ? "interrupted" : "failed";
    const stop = h("button", { type: "button", id: `interrupt-${job.number}` }, "Interrupt");
    stop.addEventListener("click", () => post(`/api/jobs/${job.number}/interrupt`, {}).catch((error) => stop.replaceWith(error.message)));
    return h(
      "section",
      { class: "job" },
      h("h2", {}, `${job.number} `, chip(state)),
      h("p", {}, h("code", {}, job.command.join(" "))),
      h("p", { class: "note" }, `${when(job.asked)}${job.ended ? `, ended ${when(job.ended)}${job.begun ? ` with code ${job.code}` : ""}` : ""}`),
      job.lines.length ? h("pre", { tabindex: "0", "aria-label": "What it said" }, job.lines.join("\n")) : null,
      job.ended === null && studio.allow_run ? stop : null,
    );
  });
  return { title: "Commands", nodes: [h("h1", {}, "Commands"), list.length ? list : h("p", {}, studio.allow_run ? "None was started here yet." : "This studio only shows; it starts no commands.")] };
}

export function begin(studio) {
  const said = h("p", { class: "warn", role: "alert" });
  const field = (id, text, attributes, note) => h("p", {}, h("label", { for: id }, text), h("input", { id, ...attributes }), note ? h("span", { class: "note" }, note) : null);
  const verb = h("select", { id: "verb" }, ["loop", "simulate", "infer", "demo"].map((name) => h("option", { value: name }, name)));
  const mock = h("input", { id: "mock", type: "checkbox" });
  const parts = {
    loop: [h("p", {}, mock, h("label", { for: "mock", class: "after" }, "simulate the experiment, at the problem's own parameters")), field("rounds", "Experiments", { type: "number", min: 1, value: 4 })],
    simulate: [field("budget", "Simulations", { type: "number", min: 1, value: 10000 })],
    infer: [field("budget", "Simulations", { type: "number", min: 1, value: 10000 }), field("observation", "Observation", { type: "number", min: 1, value: 1 }), field("method", "Method", { placeholder: "npe" })],
    demo: [],
  };
  const more = h("div", {}, parts.loop);
  verb.addEventListener("change", () => more.replaceChildren(...parts[verb.value]));
  const form = h(
    "form",
    {},
    h("p", {}, h("label", { for: "verb" }, "Verb"), verb),
    field("source", "Simulator", { required: true, placeholder: "weinberg_toy" }, " a gallery problem, or a Python file in the studio's folder"),
    field("name", "Name", { required: true, pattern: "[A-Za-z0-9][\\w.\\-]*" }, " of the new folder"),
    more,
    field("seed", "Seed", { type: "number", min: 0, value: 0 }),
    h("button", {}, "Begin"),
    said,
  );
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const value = (id) => form.querySelector(`#${id}`)?.value.trim();
    const told = { verb: verb.value, source: value("source"), name: value("name"), seed: Number(value("seed") || 0) };
    for (const id of ["budget", "rounds", "observation"]) if (value(id)) told[id] = Number(value(id));
    if (value("method")) told.method = value("method");
    if (verb.value === "loop") told.mock = mock.checked;
    try {
      await post("/api/start", told);
      location.hash = "#/jobs";
    } catch (error) {
      said.textContent = error.message;
    }
  });
  return { title: "Begin", nodes: [h("h1", {}, "Begin something new"), h("p", { class: "note" }, `It runs in ${studio.roots[0]}.`), form] };
}
