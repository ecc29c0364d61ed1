// The console's own module: what it adds to pages that work without it. Nothing shown here is guessed: after every
// change the page is asked for again, and what differs is put in place.

const span = (ms) => {
  const two = (n, unit, rest, small) => (rest ? `${n} ${unit} ${rest} ${small}` : `${n} ${unit}`);
  const [s, min, h, d] = [1e3, 6e4, 36e5, 864e5].map((unit) => Math.floor(ms / unit));
  if (ms < 1e3) return "0 s";
  if (ms < 9e4) return `${s} s`;
  if (ms < 36e5) return `${min} min`;
  return ms < 864e5 ? two(h, "h", min % 60, "min") : two(d, "d", h % 24, "h");
};

// Clocks that count up and down, by the server's time as far as it is known.
const tick = () => {
  const now = Date.now();
  for (const time of document.querySelectorAll("time[data-since], time[data-until]")) {
    const at = Date.parse(time.dateTime);
    const text = span(Math.max(0, "since" in time.dataset ? now - at : at - now));
    if (time.textContent !== text) time.textContent = text;
  }
};
setInterval(tick, 1000);

const counted = () => {
  for (const form of document.querySelectorAll("form:has(.batch)")) {
    const n = form.querySelectorAll(".pick input:checked").length;
    form.querySelector(".batch .count").textContent = `${n} selected`;
  }
};

// A typed text, an open part, a tick stay as the person left them.
const callbacks = {
  beforeAttributeUpdated(name, node) {
    if (name === "open") return false;
    if (name === "checked") return false;
    if (name === "value" && node.type === "range") return node.hasAttribute("data-latest");
    if (name === "value" && node.matches("input:not([type=hidden])")) return node.value === node.defaultValue;
    if (name === "hidden" && node.hasAttribute("data-raw")) return false;
    return true;
  },
  // What a button brought about is said for a while, whatever changes meanwhile.
  beforeNodeRemoved(node) {
    return !node.classList?.contains("notice");
  },
  beforeNodeMorphed(old, fresh) {
    if (old.dataset?.seq && fresh.dataset?.seq && old.dataset.seq !== fresh.dataset.seq) {
      old.classList.remove("fresh");
      requestAnimationFrame(() => old.classList.add("fresh"));
    }
    return true;
  },
};

const put = (target, html, selector) => {
  const page = new DOMParser().parseFromString(html, "text/html");
  const fresh = page.querySelector(selector);
  if (!fresh) return;
  const cursor = target.querySelector("tr.cursor")?.id;
  window.Idiomorph.morph(target, fresh.innerHTML, { morphStyle: "innerHTML", ignoreActiveValue: true, callbacks });
  if (cursor) document.getElementById(cursor)?.classList.add("cursor");
  counted();
  enhance();
};

const get = async (url) => {
  const answer = await fetch(url, { headers: { accept: "text/html" }, cache: "no-store" });
  if (!answer.ok && answer.status !== 404) throw new Error(`${answer.status}`);
  return answer.text();
};

// What an earlier button brought about is said once, not again with every change.
const here = () => {
  const url = new URL(location.href);
  url.searchParams.delete("did");
  return url;
};

const refresh = async () => {
  if (document.querySelector("dialog[open]")) return;
  put(document.getElementById("main"), await get(here()), "#main");
};

// The slider shows each fact as it is passed, without a button.
let wanted = 0;
const enhance = () => {
  const raw = document.querySelector("[data-raw]");
  if (raw) raw.hidden = false;
  const slider = document.querySelector(".slider");
  if (slider) slider.querySelector("button").hidden = true;
};
document.addEventListener("input", async (event) => {
  const range = event.target;
  if (!range.matches?.(".slider input")) return;
  const mine = ++wanted;
  range.form.querySelector("output").textContent = `${range.value} of ${range.max}`;
  await new Promise((done) => setTimeout(done, 60));
  if (mine !== wanted) return;
  const url = here();
  if (range.value === range.max) url.searchParams.delete("at");
  else url.searchParams.set("at", range.value);
  range.toggleAttribute("data-latest", range.value === range.max);
  history.replaceState(null, "", url);
  const html = await get(url).catch(() => null);
  if (html && mine === wanted) put(document.getElementById("moment-body"), html, "#moment-body");
});
document.addEventListener("change", (event) => {
  if (event.target.matches?.(".pick input")) counted();
});
document.addEventListener("click", (event) => {
  if (event.target.matches?.("[data-raw]")) toggleRaw();
});
const toggleRaw = () => {
  const all = [...document.querySelectorAll("details.raw")];
  const open = !all.some((part) => part.open);
  for (const part of all) part.open = open;
};

// The page is painted first: nothing it shows waits for what it can do by itself.
const painted = () => new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
const library = (name) =>
  new Promise((onload, onerror) => {
    const src = new URL(name, import.meta.url);
    document.head.append(Object.assign(document.createElement("script"), { src, onload, onerror }));
  });
await painted();
const [{ live }, { keys }] = await Promise.all([
  import("./live.js"),
  import("./keys.js"),
  library("./idiomorph.min.js"),
]);
setTimeout(() => document.querySelector(".notice:not(.bad)")?.remove(), 20000);
enhance();
counted();
keys(toggleRaw);
live(refresh, span);
