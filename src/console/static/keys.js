// The keys: they never act on an order, they only go there.

export const keys = (toggleRaw) => {
  const help = document.getElementById("help");
  let go = 0;

  const rows = () => [...document.querySelectorAll(".orders tbody tr")];
  const move = (step) => {
    const all = rows();
    if (!all.length) return;
    const at = all.findIndex((row) => row.classList.contains("cursor"));
    const next = all[Math.min(all.length - 1, Math.max(0, at < 0 ? (step > 0 ? 0 : all.length - 1) : at + step))];
    all.forEach((row) => row.classList.toggle("cursor", row === next));
    next.querySelector(".id a")?.focus({ preventScroll: true });
    next.scrollIntoView({ block: "nearest" });
  };
  const select = () => {
    const row = document.querySelector("tr.cursor") ?? document.activeElement?.closest?.(".orders tbody tr");
    row?.querySelector(".pick input")?.click();
  };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target.matches?.("input:not([type=checkbox], [type=range]), textarea, select")) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const gone = Date.now() - go < 1200;
    go = 0;
    if (gone) {
      const link = document.querySelector(`.top nav a[data-key="${CSS.escape(event.key)}"]`);
      if (link) {
        event.preventDefault();
        return link.click();
      }
    }
    const does = {
      "/": () => {
        const search = document.getElementById("q");
        if (search) search.focus();
        else location.assign("/");
      },
      "?": () => (help.open ? help.close() : help.showModal()),
      j: () => move(1),
      k: () => move(-1),
      x: select,
      r: toggleRaw,
      g: () => (go = Date.now()),
    }[event.key];
    if (!does || (help.open && event.key !== "?")) return;
    event.preventDefault();
    does();
  });
};
