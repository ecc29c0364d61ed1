// Keeps the page up to date: a stream says that something changed, the page is asked for again. When the server goes
// away the page says so, comes back by itself behind the last event it has seen, and says what the server took over.

const PACE_MS = 400;

export const live = (refresh, span) => {
  const { stream, after, every } = document.body.dataset;
  const [state, text, banner] = ["live", "live-text", "banner"].map((id) => document.getElementById(id));
  if (!stream || !window.EventSource) return;
  let source = null;
  let last = Number(after);
  let lostAt = null;
  // The last event before the server was lost.
  let seen = 0;
  let timer = null;
  let busy = false;
  let again = false;

  const show = (mode, words) => {
    state.dataset.live = mode;
    text.textContent = words;
  };

  // One request at a time; what comes meanwhile is one more.
  const update = async () => {
    if (busy) return void (again = true);
    busy = true;
    again = false;
    try {
      await refresh();
      text.textContent = words();
    } catch {
      again = true;
    }
    setTimeout(() => {
      busy = false;
      if (again && !document.hidden) update();
    }, PACE_MS);
  };
  const words = () => `live, event ${last.toLocaleString("en").replaceAll(",", "\u202f")}`;

  const back = async () => {
    const away = span(Date.now() - lostAt);
    lostAt = null;
    let told = `Back after ${away}.`;
    try {
      const answer = await fetch("/console/boot", { cache: "no-store" });
      if (answer.status === 401) return signIn();
      const boot = await answer.json();
      if (known && boot.boot !== known) {
        // What this page has seen was durable: a server that knows less stands on another database.
        if (boot.event < seen) return location.reload();
        told = `${boot.told} It was away for ${away}.`;
      }
      known = boot.boot;
    } catch {
      // It went away again; the stream will say so.
    }
    say(told, false);
    update();
  };
  let known = null;
  // What was recovered is news for a while, on whatever page one comes to first.
  const first = (boot) => {
    known ??= boot.boot;
    if (boot.news && sessionStorage.getItem("told") !== boot.boot) say(boot.told, false);
  };
  fetch("/console/boot", { cache: "no-store" }).then((r) => r.json()).then(first, () => {});

  // Sessions end with the server's life, with their time, and with their key.
  const signIn = () => {
    clearTimeout(timer);
    source?.close();
    const next = encodeURIComponent(location.pathname + location.search);
    const link = Object.assign(document.createElement("a"), { textContent: "Sign in", href: `/console/sign-in?next=${next}` });
    banner.classList.add("lost");
    banner.replaceChildren(Object.assign(document.createElement("span"), { textContent: "Your session has ended. What you see was durable then. " }), link);
    show("lost", "signed out");
  };
  const signedOut = async () => {
    const answer = await fetch("/console/boot", { cache: "no-store" }).catch(() => null);
    return answer?.status === 401;
  };

  const say = (words, lost) => {
    banner.classList.toggle("lost", lost);
    banner.replaceChildren(Object.assign(document.createElement("span"), { textContent: words }));
    if (lost) return;
    const close = Object.assign(document.createElement("button"), { textContent: "Dismiss", className: "quiet" });
    close.addEventListener("click", () => {
      if (known) sessionStorage.setItem("told", known);
      banner.replaceChildren();
    });
    banner.append(close);
  };

  const open = () => {
    clearTimeout(timer);
    source?.close();
    const url = new URL(stream, location.href);
    url.searchParams.set("after", last);
    source = new EventSource(url);
    source.onopen = () => {
      show("on", words());
      if (lostAt) back();
    };
    source.onmessage = (message) => {
      last = Math.max(last, Number(message.lastEventId));
      show("on", words());
      update();
    };
    source.onerror = async () => {
      if (document.hidden) return;
      const closed = source.readyState === EventSource.CLOSED;
      if (closed && (await signedOut())) return signIn();
      if (!lostAt) {
        lostAt = Date.now();
        seen = last;
        const at = new Date().toISOString().slice(11, 19);
        say(`The server has been away since ${at} UTC. What you see was durable then. Reconnecting.`, true);
      }
      show("lost", "reconnecting");
      // A browser gives up on an answer that is no stream, such as 503.
      if (closed) timer = setTimeout(open, 1000);
    };
  };

  // A hidden page holds no connection: browsers allow few of them to one server.
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) {
      source?.close();
      clearTimeout(timer);
      show("off", "asleep");
    } else {
      open();
      update();
    }
  });
  // A page kept for "back" begins anew.
  addEventListener("pageshow", (event) => event.persisted && (open(), update()));
  addEventListener("pagehide", () => source?.close());
  if (Number(every)) setInterval(() => document.hidden || lostAt || update(), Number(every) * 1000);
  open();
};
