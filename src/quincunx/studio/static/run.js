// One run: overview, events, failures, provenance.

import { get, save } from "./api.js";
import { chip, design, facts, h, number, plainly, table, when } from "./dom.js";
import { actions } from "./actions.js";
import { pictures } from "./pictures.js";

const PAGES = [
  ["overview", "Overview"],
  ["events", "Events"],
  ["failures", "Failures"],
  ["provenance", "Provenance"],
];
const shownKinds = new Map();

export async function run(studio, place, page) {
  const about = await get(`/api/places/${place.id}`);
  const links = PAGES.map(([name, text]) => h("a", { href: `#/run/${place.id}/${name}`, id: `tab-${name}`, "aria-current": name === page ? "page" : null }, text));
  const head = [
    h("h1", {}, place.name),
    h("p", { class: "state" }, chip(about.status), " ", about.said, about.about ? h("span", { class: "note" }, ` of ${about.about.split("/").pop()}`) : null),
    h("nav", { class: "tabs", "aria-label": "Of this run" }, links),
  ];
  const views = { overview, events, failures, provenance };
  const body = await (views[page] || overview)(studio, place, about);
  return { title: place.name, nodes: [head, body] };
}

function overview(studio, place, about) {
  const loop = about.loop;
  return [
    loop ? loopState(studio, place, loop) : null,
    loop && loop.known ? knowledge("What is known", loop.known) : null,
    about.answer ? answered(about.answer) : null,
    pictures(place.id, about.pictures),
    loop && loop.timeline.length ? timeline(loop) : null,
    loop && loop.rehearsal ? rehearsal(loop.rehearsal) : null,
    about.standing.planned ? simulations(about) : null,
  ];
}

function loopState(studio, place, loop) {
  const said = [];
  if (loop.stopped) said.push(`Stopped: ${loop.stopped}.`);
  if (loop.in_doubt) said.push(`No parameter explains the data of experiment ${loop.in_doubt.step} (p = ${number(loop.in_doubt.p_value, 2)}). Look at them, at their settings and at the simulator.`);
  if (loop.state === "measure" && loop.awaited) said.push(`Measure at ${design(loop.awaited.design)}: ${loop.awaited.events} event${loop.awaited.events === 1 ? "" : "s"}; approved by ${loop.awaited.by}${loop.awaited.overridden ? `, instead of ${design(loop.awaited.proposed)}` : ""}.`);
  if (loop.state === "approve" && loop.proposal) {
    const one = loop.proposal.information;
    said.push(`Proposed: ${design(loop.proposal.design)}, expected to teach ${number(one.value, 3)} ± ${number(one.se, 1)} nats${one.lower !== null && one.upper !== null ? ` (between ${number(one.lower, 3)} and ${number(one.upper, 3)})` : ""}. ${loop.proposal.reason}`);
  }
  return h(
    "section",
    { class: "next", "aria-labelledby": "next" },
    h("h2", { id: "next" }, "What is next"),
    said.map((text) => h("p", {}, text)),
    facts([["experiments", `${loop.experiments} of ${loop.rounds}`], ["spent", number(loop.spent)], ["may be chosen", loop.space.replace(/^Space\((.*)\)$/s, "$1")]]),
    studio.allow_run ? actions(studio, place, loop) : h("p", { class: "note" }, "This studio only shows. Start it with --allow-run to approve, tell data or stop here."),
  );
}

// Parameters in the order of the prior: a book keeps mappings in that of the alphabet.
function columnsOf(known) {
  return known ? known.columns || Object.keys(known.summary) : [];
}

function knowledge(title, known, ...more) {
  const rows = columnsOf(known).map((name) => [name, known.summary[name]]).map(([name, row]) => [name, row.mean, row.sd, `${number(row["68% low"])} to ${number(row["68% high"])}`, `${number(row["95% low"])} to ${number(row["95% high"])}`]);
  return h("section", {}, h("h2", {}, title), more, table(["parameter", "mean", "sd", "68 %", "95 %"], rows));
}

function answered(answer) {
  const from = h("p", { class: "note" }, [(answer.method || "").toUpperCase(), answer.simulations ? `${number(answer.simulations)} simulations` : ""].filter(Boolean).join(", "), ".");
  const warnings = (answer.warnings || []).map((text) => h("p", { class: "warn" }, text));
  return knowledge("The answer", answer, from, warnings);
}

function timeline(loop) {
  const names = columnsOf(loop.known);
  const rows = loop.timeline.map((row) => [
    String(row.experiment),
    design(row.design) + (row.counts ? "" : " (set aside)"),
    row.decided_by + (row.overridden ? " (overridden)" : ""),
    row.events,
    row.cost,
    ...names.map((name) => (row.sd ? number(row.sd[name], 3) : "")),
    row.p_value === null ? "" : number(row.p_value, 2),
    row.told.replace("T", " ").replace("+00:00", " UTC"),
  ]);
  return h("section", {}, h("h2", {}, "Timeline"), table(["experiment", "design", "decided by", "events", "cost", ...names.map((name) => `sd of ${name}`), "p", "told"], rows), h("p", { class: "note" }, "p: how often data simulated from the posterior are at least as unlikely as those that were told."));
}

function rehearsal(told) {
  const rows = Object.entries(told.coverage).map(([level, shares]) => [`${Math.round(100 * level)} % intervals`, ...told.parameters.map((name) => `${(100 * shares[name]).toFixed(1)} %`)]);
  return h("section", {}, h("h2", {}, "Calibration"), h("p", {}, chip(told.covers ? "pass" : "fail"), ` ${told.loops} loops were rehearsed on parameters drawn from the prior; their last intervals hold the truth:`), table(["interval", ...told.parameters.map((name) => `holds ${name}`)], rows));
}

function simulations(about) {
  const now = about.standing;
  const holders = now.holders.map((one) => [one.owner, one.batches, `${Math.round(one.seconds_left)} s`, one.gone ? "its process is gone" : ""]);
  return h(
    "section",
    {},
    h("h2", {}, "Simulations"),
    h("progress", { max: now.planned, value: now.done, "aria-label": "simulations done" }),
    facts([
      ["done", `${number(now.done)} of ${number(now.planned)}`],
      ["failed", now.failed ? `${number(now.failed)} (${Object.entries(now.failed_by_status).map(([name, count]) => `${count} ${name}`).join(", ")})` : "none"],
      ["rate", now.rate ? `${number(now.rate, 3)} a second` : ""],
      ["left", now.eta ? `${Math.round(now.eta)} s` : ""],
      ["batches", Object.entries(now.batches).map(([name, count]) => `${count} ${name}`).join(", ")],
    ]),
    holders.length ? table(["who works on it", "batches", "lease", ""], holders) : null,
    about.rounds.length > 1 ? table(["round", "design", "simulator", "done", "planned"], about.rounds.map((one) => [String(one.round), design(one.design), one.simulator, one.done, one.n])) : null,
    about.mended.length ? table(["mended", "what", ""], about.mended.map((one) => [when(one.t), one.kind, plainly(one.facts)])) : null,
  );
}

async function events(studio, place) {
  const kind = shownKinds.get(place.id) || "";
  const first = await get(`/api/places/${place.id}/events?most=100${kind ? `&kind=${encodeURIComponent(kind)}` : ""}`);
  const body = h("tbody");
  let oldest = null;
  const add = (found) => {
    for (const one of found) body.append(h("tr", {}, h("th", { scope: "row" }, when(one.t)), h("td", {}, one.kind), h("td", { class: "long" }, plainly(shorter(one.facts)))));
    if (found.length) oldest = found[found.length - 1].id;
  };
  add(first.events);
  const more = h("button", { type: "button", id: "older" }, "Older events");
  more.hidden = first.events.length < 100;
  more.addEventListener("click", async () => {
    const next = await get(`/api/places/${place.id}/events?most=200&before=${oldest}${kind ? `&kind=${encodeURIComponent(kind)}` : ""}`);
    add(next.events);
    more.hidden = next.events.length < 200;
  });
  const choice = h("select", { id: "kind" }, h("option", { value: "" }, `all ${number(first.total)}`), Object.entries(first.kinds).map(([name, count]) => h("option", { value: name, selected: name === kind }, `${name} (${number(count)})`)));
  choice.addEventListener("change", () => {
    shownKinds.set(place.id, choice.value);
    choice.blur();
    document.dispatchEvent(new Event("quincunx-draw"));
  });
  return [h("div", { class: "bar" }, h("label", { for: "kind" }, "Events"), choice), h("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": "Events" }, h("table", { class: "events" }, h("thead", {}, h("tr", {}, ["when", "what", ""].map((name) => h("th", { scope: "col" }, name)))), body)), more];
}

const SILENT = ["sha256", "data", "numbers", "summary", "parcel", "step"];

function shorter(told) {
  const kept = Object.entries(told).filter(([name, value]) => !SILENT.includes(name) && plainly(value) !== "");
  const information = (one) => `${number(one.value, 3)} ± ${number(one.se, 1)} nats`;
  return Object.fromEntries(kept.map(([name, value]) => [name, name === "information" ? information(value) : typeof value === "object" && !Array.isArray(value) ? shorter(value) : value]));
}

async function failures(studio, place, about) {
  const found = await get(`/api/places/${place.id}/failures`);
  const kinds = Object.entries(found.kinds);
  if (!kinds.length) return [h("h2", {}, "Failures"), h("p", {}, "No simulation failed.")];
  const rows = found.failures.map((one) => [`${one.round} / ${number(one.simulation)}`, one.status, plainly(one.theta), one.said || ""]);
  return [h("h2", {}, "Failures"), h("p", {}, kinds.map(([name, count]) => `${number(count)} ${name}`).join(", "), "."), pictures(place.id, about.pictures.filter((sheet) => sheet.name === "failures")), table(["round / simulation", "status", "parameters", "said"], rows, { wide: true })];
}

async function provenance(studio, place, about) {
  const made = await get(`/api/places/${place.id}/artefacts`);
  const names = new Map(made.artefacts.map((one) => [one.sha256, one.name]));
  const rows = made.artefacts.map((one) => {
    const file = h("button", { type: "button", class: "link", id: `save-${one.sha256.slice(0, 12)}`, title: `Save ${one.name}` }, one.sha256.slice(0, 12));
    file.addEventListener("click", () => save(`/api/places/${place.id}/artefacts/${one.sha256}`, one.name));
    const from = [...one.parents.map((sha) => `${names.get(sha) || "?"} ${sha.slice(0, 12)}`), ...(one.shards ? [`${number(one.shards)} shards`] : [])];
    return [one.name, one.kind, file, from.join("; "), when(one.created)];
  });
  const environment = about.environment;
  return [
    h("h2", {}, "What was made from what"),
    rows.length ? table(["artefact", "kind", "SHA-256", "made from", "when"], rows, { wide: true }) : h("p", {}, "Nothing is kept yet."),
    h("p", { class: "note" }, `${number(made.shards)} shards of simulations.`),
    h("h2", {}, "How it was begun"),
    facts([...Object.entries(about.config).map(([name, value]) => [name, plainly(value)]), ["folder", about.folder], ["platform", environment.platform], ["python", environment.python], ["quincunx", environment.quincunx], ["command", environment.command ? h("code", {}, environment.command) : ""]]),
  ];
}
