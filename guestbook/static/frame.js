// Tells the page around this frame how high the book is, and after a click, where to look: that page alone, and
// nothing else. Browsers neither scroll that page nor move the focus for a frame from another site.
"use strict";

(() => {
  const { site, count: guestbookCount } = document.currentScript.dataset;
  const top = (element) => element?.getBoundingClientRect().top ?? 0; // the frame itself never scrolls
  const tell = (more) => {
    const guestbookHeight = document.documentElement.getBoundingClientRect().height;
    parent.postMessage({ guestbookHeight, guestbookCount, ...more }, site);
  };
  const show = (element) => tell({ guestbookShow: Math.max(0, top(element?.closest(".field") ?? element)) });
  new ResizeObserver(() => tell()).observe(document.documentElement);

  const news = document.querySelector("[autofocus]"); // what was wrong, or the preview
  const before = document.referrer && new URL(document.referrer);
  const isNext = before && before.origin === location.origin && before.pathname === location.pathname;
  const asked = new URLSearchParams(location.search); // A page with a token in its address names no referrer.
  const followsAnother = isNext || news || ["signed", "own", "before"].some((name) => asked.has(name));
  news?.focus({ preventScroll: true });
  const isSigned = location.hash.startsWith("#c-"); // The thanks stand above the comment.
  const wanted = isSigned ? null : document.getElementById(location.hash.slice(1));
  if (followsAnother) show(news ?? wanted ?? document.getElementById("thanks"));
  addEventListener("click", (event) => {
    const link = event.target.closest("a[href^='#']");
    if (link) show(document.getElementById(link.hash.slice(1)));
  });
})();
