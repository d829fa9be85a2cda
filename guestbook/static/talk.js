// Draws what happens while it happens. Without this script each click loads the page again.
"use strict";

(() => {
  const drawn = new Map();
  const renew = (part, html) => {
    const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
    const focus = part.contains(document.activeElement) && document.activeElement.closest("[id]").id;
    part.innerHTML = html;
    for (const id of open) document.getElementById(id)?.setAttribute("open", "");
    if (focus) document.getElementById(focus)?.querySelector("summary, [tabindex]")?.focus({ preventScroll: true });
  };
  const look = async () => {
    const answer = await fetch("/");
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const html = page.getElementById(part.id).innerHTML;
      if (drawn.get(part.id) !== html) renew(part, html);
      drawn.set(part.id, html);
    }
  };
  for (const part of document.querySelectorAll("[data-live]")) drawn.set(part.id, part.innerHTML);
  document.addEventListener("submit", async (event) => {
    event.preventDefault();
    const button = event.submitter;
    if (button.ariaBusy) return;
    button.ariaBusy = "true";
    const body = new URLSearchParams(new FormData(event.target, button));
    await fetch("/do", { method: "POST", body, redirect: "manual" }).catch(() => {});
    button.ariaBusy = null;
  });
  const follow = async () => {
    try {
      if (!document.hidden) await look();
      setTimeout(follow, 300);
    } catch {
      document.getElementById("latest").textContent = "The talk is over. Start it again in your terminal.";
    }
  };
  follow();
})();
