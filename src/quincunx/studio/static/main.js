// The page: which view stands at which address, and when it is drawn again.

import { get, watch } from "./api.js";
import { h } from "./dom.js";
import { places } from "./places.js";
import { run } from "./run.js";
import { answer } from "./answer.js";
import { compare } from "./compare.js";
import { jobs, begin } from "./jobs.js";
import { leave } from "./pictures.js";

const content = document.getElementById("content");
const live = document.getElementById("live");
const menu = document.getElementById("menu");
let studio = null;
let stale = true;
let shown = "";
let drawing = 0;

function route() {
  const [path, query] = location.hash.replace(/^#/, "").split("?");
  return { parts: path.split("/").filter(Boolean), query: new URLSearchParams(query || "") };
}

// The list is asked for once, and again after news, or for a place that it does not hold.
let list = null;

function ask() {
  stale = false;
  list = get("/api/places").catch((error) => {
    stale = true;
    throw error;
  });
}

async function listed(id) {
  const among = () => studio.places.find((one) => one.id === id);
  if (stale) ask();
  studio = await list;
  if (id && !among()) {
    ask();
    studio = await list;
  }
  return among();
}

async function view() {
  const { parts, query } = route();
  const place = await listed(["run", "answer"].includes(parts[0]) ? parts[1] : null);
  if (parts[0] === "run" && place) return run(studio, place, parts[2] || "overview");
  if (parts[0] === "answer" && place) return answer(studio, place);
  if (parts[0] === "compare") return compare(studio, (query.get("ids") || "").split(",").filter(Boolean));
  if (parts[0] === "jobs") return jobs(studio);
  if (parts[0] === "begin" && studio.allow_run) return begin(studio);
  if (parts.length) return { title: "Not here", nodes: [h("h1", {}, "Not here"), h("p", {}, "There is no such run or answer (any more). ", h("a", { href: "#/" }, "See what there is."))] };
  return places(studio);
}

async function draw() {
  const mine = ++drawing;
  const address = location.hash;
  let found;
  try {
    found = await view();
  } catch (error) {
    found = { title: "Refused", nodes: [h("h1", {}, "This cannot be shown"), h("p", { class: "warn", role: "alert" }, error.message)] };
  }
  if (mine !== drawing) return;
  // What somebody is typing must not be lost to news.
  const typing = shown === address && content.contains(document.activeElement) && /INPUT|TEXTAREA|SELECT/.test(document.activeElement.tagName);
  if (typing || (shown === address && content.querySelector("[data-filled]"))) {
    live.textContent = "something changed; it is shown when the form is sent or left";
    document.activeElement.addEventListener("blur", () => setTimeout(draw, 300), { once: true });
    return;
  }
  const focused = shown === address && content.contains(document.activeElement) ? document.activeElement.id : "";
  const top = shown === address ? window.scrollY : 0;
  content.replaceChildren(...found.nodes.flat(Infinity).filter(Boolean));
  document.title = `${found.title} - Quincunx studio`;
  if (shown !== address) content.focus({ preventScroll: true });
  else if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
  window.scrollTo(0, top);
  shown = address;
  const at = route().parts[0] || "";
  const links = [["", "Runs"], ["jobs", "Commands"], ...(studio?.allow_run ? [["begin", "Begin"]] : [])];
  menu.replaceChildren(...links.map(([to, text]) => h("a", { href: `#/${to}`, "aria-current": at === to ? "page" : null }, text)));
}

function concerns(ids) {
  if (!ids) return true;
  const { parts, query } = route();
  if (!parts.length || parts[0] === "begin") return true;
  if (parts[0] === "jobs") return ids.has("jobs");
  if (parts[0] === "compare") return (query.get("ids") || "").split(",").some((id) => ids.has(id));
  return ids.has(parts[1]) || ids.has("jobs");
}

window.addEventListener("hashchange", () => {
  leave();
  draw();
});
document.addEventListener("quincunx-draw", draw);
draw();
watch(
  (ids) => {
    if (!ids || [...ids].some((id) => id !== "jobs")) stale = true;
    if (concerns(ids)) draw();
  },
  (state) => {
    live.textContent = state === "live" ? "live" : "not connected; trying again";
    live.className = state === "live" ? "on" : "off";
  },
);
