// What this makes quicker works without it too, by a button or a link.
"use strict";

// A box that ticks all boxes of its form.
for (const all of document.querySelectorAll("input[data-all]")) {
  all.closest("[hidden]")?.removeAttribute("hidden");
  all.addEventListener("change", () => {
    for (const box of all.form.querySelectorAll(`input[name="${all.dataset.all}"]`)) box.checked = all.checked;
  });
}

// A button that copies what stands in the element of that id.
for (const button of document.querySelectorAll("button[data-copy]")) {
  if (!navigator.clipboard) continue;
  button.hidden = false;
  button.addEventListener("click", async () => {
    const word = button.textContent;
    try {
      await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Not allowed";
    }
    setTimeout(() => (button.textContent = word), 2000);
  });
}

// A part of the page that is asked for again until it is settled, for a minute at the most, or as many times as it
// says. Nobody is asked while nobody looks. What had the focus keeps it.
for (const part of document.querySelectorAll("[data-live]")) {
  let left = Number(part.dataset.live) || 40;
  const renew = (fresh) => {
    const focus = part.contains(document.activeElement) && document.activeElement.getAttribute("href");
    part.innerHTML = fresh.innerHTML;
    if (focus) part.querySelector(`[href="${CSS.escape(focus)}"]`)?.focus({ preventScroll: true });
  };
  const look = async () => {
    if (!document.hidden) {
      left -= 1;
      try {
        const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
        const page = new DOMParser().parseFromString(await answer.text(), "text/html");
        const fresh = answer.ok && page.getElementById(part.id);
        if (fresh && part.innerHTML !== fresh.innerHTML) renew(fresh);
        if (fresh && fresh.dataset.live === undefined) return;
      } catch {
        // The server does not answer for a moment; the next look may find it.
      }
    }
    if (left > 0) setTimeout(look, 1500);
  };
  setTimeout(look, 1500);
}
