// Tells the page around this frame how high the book is: that page alone, and nothing else.
"use strict";

(() => {
  const { site } = document.currentScript.dataset;
  const tell = () => {
    parent.postMessage({ guestbookHeight: document.documentElement.getBoundingClientRect().height }, site);
  };
  new ResizeObserver(tell).observe(document.documentElement);
})();
