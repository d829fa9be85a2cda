// Shows dates in the visitor's time zone. The server wrote them in the book's.
"use strict";

(() => {
  const { lang } = document.documentElement;
  const form = { day: "numeric", month: "long", year: "numeric" };
  const tag = lang === "en" ? "en-GB" : `${lang}-u-nu-latn`; // The book writes Western digits in Arabic too.
  const dates = new Intl.DateTimeFormat(tag, form);
  const clock = { hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZoneName: "short" };
  const hours = new Intl.DateTimeFormat(tag, clock);
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
