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

// A part of the page that is asked for again until it is settled, for a minute at the most.
for (const part of document.querySelectorAll("[data-live]")) {
  let left = 40;
  const look = async () => {
    const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const fresh = answer.ok && page.getElementById(part.id);
    if (fresh) {
      if (part.innerHTML !== fresh.innerHTML) part.innerHTML = fresh.innerHTML;
      if (fresh.dataset.live === undefined) return;
    }
    if (--left > 0) setTimeout(look, 1500);
  };
  setTimeout(look, 1500);
}
