// Shows the guestbook where its <script> stands, in a frame that is always as high as the book. Without scripts,
// write an <iframe> by hand: it keeps its height.
"use strict";

(() => {
  const bookTitle = "Guestbook"; // the book puts its own here
  const script = document.currentScript;
  const book = new URL("embed", script.src);
  book.searchParams.set("site", location.origin);
  const frame = document.createElement("iframe");
  frame.src = book.href;
  frame.title = script.dataset.title || bookTitle;
  frame.style.cssText = "display: block; width: 100%; border: 0";
  frame.style.height = `${Number(script.dataset.height) || 600}px`;
  addEventListener("message", (event) => {
    const { guestbookHeight: height, guestbookShow: show } = event.data || {};
    if (event.source !== frame.contentWindow || event.origin !== book.origin || !(height > 0)) return;
    frame.style.height = `${Math.ceil(height)}px`;
    if (!(show >= 0)) return;
    // After a click in the book: the line that the visitor should see comes to the top, with some space above.
    frame.style.scrollMarginTop = `${16 - show}px`;
    frame.scrollIntoView();
  });
  script.after(frame);
})();
