// Elements from names and children. Text is always text: nothing that a run says can become markup.

export function h(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else made.setAttribute(key, value);
  }
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

export function number(value, digits = 4) {
  if (value === null || value === undefined) return "";
  if (Number.isInteger(value)) return value.toLocaleString("en-GB");
  return String(Number(value.toPrecision(digits)));
}

export function when(seconds) {
  if (!seconds) return "";
  const date = new Date(seconds * 1000);
  const two = (n) => String(n).padStart(2, "0");
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}

export function bytes(size) {
  const units = ["B", "kB", "MB", "GB"];
  let step = 0;
  while (size >= 1000 && step < units.length - 1) {
    size /= 1000;
    step += 1;
  }
  return `${size < 10 && step ? size.toFixed(1) : Math.round(size)} ${units[step]}`;
}

export function design(settings) {
  return Object.entries(settings || {})
    .map(([name, value]) => `${name} = ${Array.isArray(value) ? `[${value.map((one) => number(one)).join(", ")}]` : number(value)}`)
    .join(", ");
}

export function plainly(value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "number") return number(value, 6);
  if (Array.isArray(value)) return value.map(plainly).join(", ");
  if (typeof value === "object") {
    return Object.entries(value)
      .map(([name, one]) => `${name} ${plainly(one)}`)
      .join(", ");
  }
  return String(value);
}

export function table(head, rows, { caption, wide } = {}) {
  const cells = (row) => row.map((cell, i) => h(i === 0 ? "th" : "td", i === 0 ? { scope: "row" } : { class: typeof cell === "number" ? "n" : null }, typeof cell === "number" ? number(cell) : cell));
  return h(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption || head.filter((one) => typeof one === "string").join(", ") },
    h(
      "table",
      { class: wide ? "wide" : null },
      caption ? h("caption", {}, caption) : null,
      h("thead", {}, h("tr", {}, head.map((name, i) => h("th", { scope: "col", class: i && typeof (rows[0] || [])[i] === "number" ? "n" : null }, name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, cells(row)))),
    ),
  );
}

export function facts(pairs) {
  return h(
    "dl",
    { class: "facts" },
    pairs.filter(([, value]) => value !== null && value !== undefined && value !== "").map(([name, value]) => [h("dt", {}, name), h("dd", {}, value)]),
  );
}

const KINDS = {
  pass: "good",
  done: "good",
  stopped: "good",
  "needs attention": "bad",
  fail: "bad",
  failed: "bad",
  damaged: "bad",
  running: "on",
  approve: "ask",
  measure: "ask",
  warn: "ask",
  interrupted: "ask",
};
const WORDS = { propose: "to be proposed", approve: "waits for approval", measure: "waits for data", update: "data to learn from" };

export function chip(status) {
  return h("span", { class: `chip ${KINDS[status] || ""}` }, WORDS[status] || status);
}
