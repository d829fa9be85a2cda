// Shows dates in the visitor's time zone. The server wrote them in the book's.
"use strict";

(() => {
  const { lang } = document.documentElement;
  const form = { day: "numeric", month: "long", year: "numeric" };
  const tag = lang === "en" ? "en-GB" : lang;
  const dates = new Intl.DateTimeFormat(tag, form);
  const hours = new Intl.DateTimeFormat(tag, { hour: "2-digit", minute: "2-digit", timeZoneName: "short" });
  for (const time of document.querySelectorAll("time")) {
    const before = time.textContent;
    const moment = new Date(time.dateTime);
    const date = dates.format(moment);
    time.textContent = lang === "fr" ? date.replace(/^1 /, "1er ") : date;
    time.title = `${time.textContent}, ${hours.format(moment)}`;
    // Screen readers read a name that ends with the date.
    const comment = time.closest("a.date")?.closest("article");
    const name = comment?.getAttribute("aria-label").slice(0, -before.length);
    comment?.setAttribute("aria-label", name + time.textContent);
  }
})();
