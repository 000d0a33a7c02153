// The way between the two languages: it keeps the place on the page, and offers Chinese once.

addEventListener("DOMContentLoaded", () => {
  const link = document.querySelector(".btn-language-button");
  if (!link) return;
  link.removeAttribute("target"); // the theme opens links of its header in a new tab
  link.addEventListener("click", () => { link.hash = location.hash; });

  const isChinese = document.documentElement.lang.startsWith("zh");
  const asked = navigator.languages.find((language) => /^(zh|en)/.test(language)) ?? "";
  if (isChinese || !asked.startsWith("zh") || localStorage.getItem("language-offered")) return;
  const offer = document.createElement("p");
  offer.className = "language-offer";
  offer.lang = "zh-CN";
  const there = document.createElement("a");
  there.href = link.href;
  there.textContent = "本页有中文版";
  const close = document.createElement("button");
  close.type = "button";
  close.textContent = "✕";
  close.setAttribute("aria-label", "不再提示");
  for (const one of [there, close]) {
    one.addEventListener("click", () => {
      localStorage.setItem("language-offered", "yes");
      offer.remove();
    });
  }
  offer.append(there, close);
  document.querySelector("main article, main").prepend(offer);
});
