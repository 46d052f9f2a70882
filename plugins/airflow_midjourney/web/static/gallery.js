// What makes the gallery handier: copying, selecting, shorter addresses. Every page works without it.
"use strict";

(() => {
  const copyText = async (text) => {
    if (navigator.clipboard && window.isSecureContext) {
      await navigator.clipboard.writeText(text);
      return;
    }
    // Without TLS browsers have no clipboard for scripts, but still this.
    const area = document.createElement("textarea");
    area.value = text;
    area.className = "hidden-text";
    document.body.append(area);
    area.select();
    const copied = document.execCommand("copy");
    area.remove();
    if (!copied) {
      throw new Error("not copied");
    }
  };

  const say = (button, words) => {
    button.textContent = words;
    button.classList.toggle("done", words === "Copied");
    window.setTimeout(() => {
      button.textContent = "Copy";
      button.classList.remove("done");
    }, 2000);
  };

  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const prompt = button.closest("li").querySelector(".prompt").textContent;
      try {
        await copyText(prompt);
        say(button, "Copied");
      } catch {
        say(button, "Not allowed");
      }
    });
  }

  // Where S3 cannot be read, a page says so once instead of with a grey box for each picture.
  const away = document.querySelector("[data-no-pictures]");
  const giveUp = (picture) => {
    picture.closest(".frame").hidden = true;
    away.hidden = false;
  };
  for (const picture of away ? document.querySelectorAll(".frame img") : []) {
    picture.addEventListener("error", () => giveUp(picture));
    if (picture.complete && picture.naturalWidth === 0 && picture.loading !== "lazy") {
      giveUp(picture);
    }
  }

  // An address is to say what was filtered and nothing else.
  for (const form of document.querySelectorAll("[data-filters]")) {
    form.addEventListener("submit", () => {
      for (const field of form.querySelectorAll("input, select")) {
        field.disabled = field.value === "";
      }
      window.setTimeout(() => {
        for (const field of form.querySelectorAll("input, select")) {
          field.disabled = false;
        }
      });
    });
  }

  document.addEventListener("keydown", (event) => {
    const search = document.querySelector("[data-search]");
    const typing = event.target.closest("input, select, textarea");
    if (event.key === "/" && search && !typing && !event.ctrlKey && !event.metaKey && !event.altKey) {
      event.preventDefault();
      search.focus();
      search.select();
    }
  });

  for (const form of document.querySelectorAll("[data-selection]")) {
    const boxes = [...form.querySelectorAll('input[name="id"]')];
    const all = form.querySelector("[data-all]");
    const told = form.querySelector("[data-selected]");
    const button = form.querySelector("[data-needs-selection]");
    const count = () => {
      const chosen = boxes.filter((box) => box.checked).length;
      if (told) {
        told.textContent = chosen ? `${chosen} selected.` : "";
      }
      if (button) {
        button.disabled = chosen === 0;
      }
      if (all) {
        all.checked = chosen > 0 && chosen === boxes.length;
        all.indeterminate = chosen > 0 && chosen < boxes.length;
      }
    };
    if (all) {
      all.hidden = false;
      all.addEventListener("change", () => {
        for (const box of boxes) {
          box.checked = all.checked;
        }
        count();
      });
    }
    form.addEventListener("change", count);
    window.addEventListener("pageshow", count);
    count();
  }
})();
