// Asking the studio: every request carries the token, which lives in this tab alone.

const KEY = "quincunx-token";

function token() {
  return sessionStorage.getItem(KEY) || "";
}

export class Refused extends Error {}

async function asked(address, options = {}) {
  const answer = await fetch(address, { ...options, headers: { "x-quincunx-token": token(), ...(options.headers || {}) } });
  if (answer.status === 401) {
    location.replace("/");
    sessionStorage.removeItem(KEY);
  }
  if (!answer.ok) {
    const text = await answer.text();
    let said = text;
    try {
      said = JSON.parse(text).said;
    } catch {
      // a refusal in plain words
    }
    throw new Refused(said);
  }
  return answer;
}

export async function get(address) {
  return (await asked(address)).json();
}

export async function post(address, told) {
  return (await asked(address, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(told) })).json();
}

export async function image(address, signal) {
  return URL.createObjectURL(await (await asked(address, { signal })).blob());
}

export async function save(address, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(await (await asked(address)).blob());
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

// Server-sent events by fetch, which unlike EventSource can carry the token in a header; it comes back by itself when it breaks.
export async function watch(changed, state) {
  let pause = 500;
  for (;;) {
    try {
      const answer = await asked("/api/changes");
      state("live");
      pause = 500;
      const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
      let text = "";
      for (;;) {
        const { value, done } = await reader.read();
        if (done) break;
        text += value;
        const messages = text.split("\n\n");
        text = messages.pop();
        for (const message of messages) {
          const lines = Object.fromEntries(message.split("\n").filter((line) => !line.startsWith(":")).map((line) => line.split(/: (.*)/s)));
          if (lines.event === "changed") changed(new Set(JSON.parse(lines.data)));
          if (lines.event === "hello") changed(null);
        }
      }
    } catch {
      // said below
    }
    state("not connected");
    await new Promise((resolve) => setTimeout(resolve, pause));
    pause = Math.min(8000, pause * 2);
  }
}
