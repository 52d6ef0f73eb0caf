// One answer: its table, its checks, its pictures, how it was made.

import { get, save } from "./api.js";
import { bytes, chip, facts, h, number, plainly, table } from "./dom.js";
import { pictures } from "./pictures.js";

export async function answer(studio, place) {
  const about = await get(`/api/places/${place.id}`);
  const record = about.record;
  const checks = about.checks;
  const warnings = [...new Set([...(record.warnings || []), ...((checks && checks.warnings) || [])])];
  const rows = Object.entries(record.summary || {}).map(([name, row]) => [name, row.mean, row.sd, `${number(row["68% low"])} to ${number(row["68% high"])}`, `${number(row["95% low"])} to ${number(row["95% high"])}`, row.ess]);
  const files = about.files.map((file) => {
    const button = h("button", { type: "button", class: "link", id: `save-${file.name}` }, file.name);
    button.addEventListener("click", () => save(`/api/places/${place.id}/files/${file.name}`, file.name));
    return h("li", {}, button, h("span", { class: "note" }, ` ${bytes(file.size)}`));
  });
  const seconds = Object.entries(record.cpu_seconds || {}).map(([name, value]) => `${name} ${number(value, 3)}`);
  return {
    title: place.name,
    nodes: [
      h("h1", {}, place.name),
      h("p", { class: "state" }, chip(about.status), " ", checks ? "" : "not checked; ", about.said),
      warnings.length ? h("section", { class: "warnings" }, h("h2", {}, "Warnings"), h("ul", {}, warnings.map((text) => h("li", {}, text)))) : null,
      rows.length ? h("section", {}, h("h2", {}, "Posterior"), table(["parameter", "mean", "sd", "68 %", "95 %", "effective draws"], rows)) : null,
      pictures(place.id, about.pictures),
      checks ? h("section", {}, h("h2", {}, "Checks"), table(["check", "", "p", "corrected", "effect", "question"], (checks.tests || []).map((row) => [row.name, chip(row.status), number(row.p_value, 2), number(row.adjusted, 2), plainly(row.effects), row.question]), { wide: true })) : null,
      h("section", {}, h("h2", {}, "How it was made"), facts([...Object.entries(record.options).filter(([, value]) => value !== null && plainly(value) !== "").map(([name, value]) => [name, plainly(value)]), ["started", record.started], ["CPU seconds", seconds.join(", ")], ["command", h("code", {}, record.command || "")], ["versions", plainly(record.versions)]])),
      h("section", {}, h("h2", {}, "Files"), h("ul", {}, files)),
    ],
  };
}
