// Keeps a page fresh: a stream says that something has changed, the page fetches itself, and the parts that differ
// are put in place. Without this file pages reload by themselves now and then.
"use strict";
(() => {
  const body = document.body;
  const address = body.dataset.stream;
  if (!address || !window.EventSource) return;
  const EVERY_MS = 30000; // times and minutes go on, even when nothing happens
  const PAUSE_MS = 400; // at most one fetch in so long
  let source = null;
  let isBusy = false;
  let isWanted = false;

  const say = (state) => { body.dataset.state = state; };

  // A form's token is another one each time: it is no difference.
  const text = (part) => part.innerHTML.replace(/(name="csrf_token"[^>]*value=")[^"]*/g, "$1");

  function put(fresh) {
    body.dataset.mark = fresh.body.dataset.mark;
    for (const part of document.querySelectorAll("[data-part]")) {
      const other = fresh.getElementById(part.id);
      if (!other) { location.reload(); return; }
      const inUse = part.contains(document.activeElement) && document.activeElement.matches("input, select");
      if (inUse || text(part) === text(other)) continue;
      const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
      part.className = other.className;
      part.replaceChildren(...other.childNodes);
      if (focused) document.getElementById(focused)?.focus({ preventScroll: true });
    }
  }

  async function refresh() {
    if (isBusy) { isWanted = true; return; }
    isBusy = true;
    try {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" });
      if (answer.redirected && new URL(answer.url).pathname !== location.pathname) { location.assign(answer.url); return; }
      if (answer.ok) put(new DOMParser().parseFromString(await answer.text(), "text/html"));
    } catch { say("away"); }
    setTimeout(() => { isBusy = false; if (isWanted) { isWanted = false; refresh(); } }, PAUSE_MS);
  }

  function open() {
    if (source) return;
    source = new EventSource(address);
    source.onopen = () => say("live");
    source.onmessage = (news) => { say("live"); if (news.data !== body.dataset.mark) refresh(); };
    source.onerror = () => {
      say("away");
      if (source.readyState === EventSource.CLOSED) { close(); setTimeout(() => { if (!document.hidden) open(); }, 10000); }
    };
  }

  function close() { source?.close(); source = null; }

  // A browser allows six connections to one host: tabs that nobody sees give theirs back.
  document.addEventListener("visibilitychange", () => { if (document.hidden) close(); else { open(); refresh(); } });
  window.addEventListener("pagehide", close);
  setInterval(() => { if (!document.hidden) refresh(); }, EVERY_MS);
  open();
})();
