// Several runs or answers side by side.

import { get } from "./api.js";
import { chip, h, number, table } from "./dom.js";
import { figure } from "./pictures.js";

export async function compare(studio, ids) {
  if (ids.length < 2) return { title: "Compare", nodes: [h("h1", {}, "Compare"), h("p", {}, "Choose at least two in the ", h("a", { href: "#/" }, "list"), ".")] };
  const found = await get(`/api/compare?ids=${ids.join(",")}`);
  const head = ["", ...found.places.map((one) => h("a", { href: `#/${one.kind}/${one.id}` }, one.name))];
  const rows = [
    ["state", ...found.places.map((one) => chip(one.status))],
    ["of", ...found.places.map((one) => one.about.split("/").pop())],
    ["", ...found.places.map((one) => one.said)],
    ["method", ...found.places.map((one) => (one.options ? one.options.method : "loop"))],
    ["spent", ...found.places.map((one) => (one.spent === undefined || one.spent === null ? "" : number(one.spent)))],
    ["CPU seconds", ...found.places.map((one) => (one.seconds ? number(Object.values(one.seconds).reduce((a, b) => a + b, 0), 3) : ""))],
    ...found.parameters.map((name) => [name, ...found.places.map((one) => (one.summary && one.summary[name] ? `${number(one.summary[name].mean)} ± ${number(one.summary[name].sd, 2)}` : ""))]),
  ];
  const version = JSON.stringify(found.places.map((one) => one.summary || null));
  const sheet = { name: "compare", title: "Intervals", caption: "Means, 68 % (thick) and 95 % intervals (thin).", alt: "Intervals of each, side by side; the numbers stand in the table.", version: String(version.length) + version.slice(0, 200) };
  return { title: "Compare", nodes: [h("h1", {}, "Side by side"), table(head, rows, { caption: "What each is and says" }), found.parameters.length ? figure(`/api/compare.svg?ids=${ids.join(",")}`, sheet) : h("p", {}, "None of them knows anything yet.")] };
}
