// The door: takes the token out of the address, or asks for it, and lets the page in.

const said = document.getElementById("said");
const ask = document.getElementById("ask");
const KEY = "quincunx-token";

async function enter(token) {
  const answer = await fetch("/api/session", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ token }),
  });
  const text = await answer.text();
  if (answer.ok) {
    sessionStorage.setItem(KEY, token);
    location.replace("/");
    return;
  }
  sessionStorage.removeItem(KEY);
  let reason = text;
  try {
    reason = JSON.parse(text).said;
  } catch {
    // a refusal in plain words
  }
  show(reason);
}

function show(text) {
  said.textContent = text;
  ask.hidden = false;
  document.getElementById("token").focus();
}

ask.addEventListener("submit", (event) => {
  event.preventDefault();
  enter(document.getElementById("token").value.trim());
});

const found = new URLSearchParams(location.hash.slice(1)).get("token");
if (found) history.replaceState(null, "", "/");
const token = found || sessionStorage.getItem(KEY);
if (token) enter(token).catch(() => show("The studio does not answer."));
else show("This studio asks for its token.");
