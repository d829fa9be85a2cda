// Shows each date as the calendar has it where the visitor is. The server has written it for the book's time zone.
"use strict";

(() => {
  const { lang } = document.documentElement;
  const form = { day: "numeric", month: "long", year: "numeric" };
  const dates = new Intl.DateTimeFormat(lang === "en" ? "en-GB" : lang, form);
  for (const time of document.querySelectorAll("time")) {
    const before = time.textContent;
    const date = dates.format(new Date(time.dateTime));
    time.textContent = lang === "fr" ? date.replace(/^1 /, "1er ") : date;
    // The name of a comment, which screen readers read, ends with its date.
    const comment = time.closest("a.date")?.closest("article");
    const name = comment?.getAttribute("aria-label").slice(0, -before.length);
    comment?.setAttribute("aria-label", name + time.textContent);
  }
})();
