// Light or dark as Airflow's own switch says, also inside its frame; without a choice, as the system says.
"use strict";

(() => {
  const AIRFLOWS_KEY = "theme";

  const choose = () => {
    const root = document.documentElement;
    try {
      const chosen = window.localStorage.getItem(AIRFLOWS_KEY);
      if (chosen === "dark" || chosen === "light") {
        root.dataset.theme = chosen;
      } else {
        delete root.dataset.theme;
      }
    } catch {
      // A browser that keeps nothing for us: the system decides.
    }
  };

  choose();
  window.addEventListener("storage", (event) => {
    if (event.key === AIRFLOWS_KEY || event.key === null) {
      choose();
    }
  });
})();
