// Shows the guestbook where its <script> stands, in a frame that is always as high as the book. A link to the book before
// the script goes when the frame has loaded, so it stays where the page or the book allows no frame. Elements with
// data-guestbook-count get the number of comments. With data-page the frame has the comments of one page alone: of the
// address or path in it, or of this page, by its canonical address or else without what stands after a question mark.
"use strict";

(() => {
  const bookTitle = "Guestbook"; // the book puts its own here
  const script = document.currentScript;
  const book = new URL("embed", script.src);
  book.searchParams.set("site", location.origin);
  for (const name of ["lang", "look", "header"]) if (script.dataset[name]) book.searchParams.set(name, script.dataset[name]);
  if ("page" in script.dataset) {
    const canonical = document.querySelector("link[rel=canonical]")?.href;
    const page = script.dataset.page || canonical || location.origin + location.pathname;
    book.searchParams.set("page", new URL(page, location));
  }
  const link = script.previousElementSibling;
  const frame = document.createElement("iframe");
  frame.src = book.href;
  frame.title = script.dataset.title || bookTitle;
  frame.style.cssText = "display: block; width: 100%; border: 0";
  frame.style.height = `${Number(script.dataset.height) || 600}px`;
  addEventListener("message", (event) => {
    const { guestbookHeight: height, guestbookShow: show, guestbookCount: count } = event.data || {};
    if (event.source !== frame.contentWindow || event.origin !== book.origin || !(height > 0)) return;
    if (link?.href === new URL(".", script.src).href) link.remove();
    frame.style.height = `${Math.ceil(height)}px`;
    if (count) for (const place of document.querySelectorAll("[data-guestbook-count]")) place.textContent = count;
    if (!(show >= 0)) return;
    // After a click in the book: the line that the visitor should see comes to the top, with some space above.
    frame.style.scrollMarginTop = `${16 - show}px`;
    frame.scrollIntoView();
  });
  addEventListener("securitypolicyviolation", (event) => {
    if (event.effectiveDirective === "frame-src" && event.blockedURI.startsWith(book.origin)) frame.remove();
  });
  script.after(frame);
})();
