// Live updates and keys. Every page works without this file; it only saves a reload and the mouse.
(() => {
  const all = (q, from = document) => [...from.querySelectorAll(q)];
  const said = document.body.dataset;

  // A running job's bar moves with its events; what else may have changed is asked for again, as a page, and the parts
  // marked data-live are replaced: never more often than every two seconds, and not while nobody looks.
  let asked = 0, timer = 0, stream = null, word = "";
  const refresh = async () => {
    timer = 0;
    if (document.hidden) return;
    asked = Date.now();
    const answer = await fetch(location.href).catch(() => null);
    if (!answer || !answer.ok) return soon();
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const now of all("[data-live]")) {
      const next = page.querySelector(`[data-live="${CSS.escape(now.dataset.live)}"]`);
      if (!next || now.contains(document.activeElement) || now.querySelector(":checked, [open]")) continue;
      if (next.innerHTML !== now.innerHTML) now.replaceWith(document.importNode(next, true));
    }
    if (word) line(word);
  };
  const soon = () => { timer ||= setTimeout(refresh, Math.max(0, asked + 2000 - Date.now())); };
  const hear = (message) => {
    const event = JSON.parse(message.data);
    if (event.name !== "bank.job.progress") return soon();
    for (const bar of all(`progress[data-job="${CSS.escape(event.jobId)}"]`)) bar.value = event.data.percent;
    for (const text of all(`[data-said="${CSS.escape(event.jobId)}"]`)) text.textContent = event.data.message;
  };
  const line = (said) => { word = said; all("[data-line]").forEach((el) => { el.textContent = word; }); };
  const follow = () => {
    if (stream || document.hidden || !said.stream || !window.EventSource) return;
    stream = new EventSource(said.stream);
    stream.onmessage = hear;
    stream.onopen = () => { line(said.on); soon(); };
    stream.onerror = () => {
      line(said.cut);
      if (stream?.readyState === 2) { rest(); setTimeout(follow, 3000); } // an answer that is no stream ends it for good
    };
  };
  const rest = () => { stream?.close(); stream = null; };
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : follow()));
  addEventListener("pagehide", rest);
  follow();

  // "/" search, "g" then a letter: page, "j" and "k": rows, "x": tick. Never with Ctrl, Alt or Meta, never in a field.
  let go = 0;
  addEventListener("keydown", (event) => {
    const field = event.target.closest("input:not([type=checkbox]):not([type=radio]), select, textarea");
    if (field || event.ctrlKey || event.metaKey || event.altKey) return;
    const links = all(".list tbody th a"), at = links.indexOf(document.activeElement);
    const page = Date.now() - go < 900 && document.querySelector(`[data-key="${CSS.escape(event.key)}"]`);
    go = event.key === "g" ? Date.now() : 0;
    if (page) page.click();
    else if (event.key === "/") document.querySelector("[type=search]")?.focus();
    else if (event.key === "j" || event.key === "k")
      links[Math.max(0, Math.min(links.length - 1, at + (event.key === "j" ? 1 : -1)))]?.focus();
    else if (event.key === "x") document.activeElement.closest("tr")?.querySelector("[type=checkbox]")?.click();
    else return;
    event.preventDefault();
  });
  addEventListener("change", () => {
    const ticked = all("[name=job]:checked").length, radio = document.querySelector("[value=ticked]");
    all("[data-ticked]").forEach((el) => { el.textContent = ticked; });
    if (radio && ticked) radio.checked = true;
  });
})();
