// Draws what happens while it happens. Without this script each click loads the page again.
"use strict";
const parts = [...document.querySelectorAll("[data-live]")];
const drawn = new Map();
const draw = (part, html) => {
  if (drawn.get(part) === html) return;
  const open = [...part.querySelectorAll("details[open]")].map((one) => one.id);
  const focus = part.contains(document.activeElement) && document.activeElement.closest("details")?.id;
  part.innerHTML = html;
  drawn.set(part, html);
  for (const id of open) document.getElementById(id)?.setAttribute("open", "");
  if (focus) document.getElementById(focus)?.firstElementChild.focus({ preventScroll: true });
};
const follow = async () => {
  try {
    const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
    for (const part of parts) draw(part, page.getElementById(part.id).innerHTML);
    setTimeout(follow, document.hidden ? 2000 : 300);
  } catch {
    draw(document.getElementById("latest"), "The talk is over. Start it again in your terminal.");
  }
};
document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { submitter: button, target: form } = event;
  if (button.ariaBusy) return;
  button.ariaBusy = "true";
  await fetch("/do", { method: "POST", body: new URLSearchParams(new FormData(form, button)) }).catch(() => {});
  button.ariaBusy = null;
});
follow();
