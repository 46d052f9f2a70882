// Keeps everything with data-live up to date: asks its address for JSON, and puts the answer's words where they belong.
// What is out of sight waits, a page in the background asks nothing, and a server in trouble is asked less and less.
"use strict";

(() => {
  const AT_ONCE = 2;
  const FIRST_PAUSE = 3;
  const LONGEST_PAUSE = 60;

  const waiting = [];
  let asking = 0;

  const put = (element, text) => {
    if (element.textContent !== text) {
      element.textContent = text;
    }
    element.hidden = text === "";
  };

  const showSegments = (place, segments, progress) => {
    const bar = place.querySelector("[data-bar]");
    bar.setAttribute("aria-label", progress);
    segments.forEach((part, index) => {
      const rect = bar.children[index];
      rect.setAttribute("x", part.x);
      rect.setAttribute("width", part.width);
      const item = place.querySelector(`[data-part="${part.name}"]`);
      item.hidden = part.count === 0;
      item.querySelector("[data-count]").textContent = part.shown;
    });
  };

  const showReasons = (place, reasons) => {
    const section = place.querySelector("[data-reasons]");
    if (section === null) {
      return;
    }
    section.hidden = reasons.length === 0;
    section.querySelector("tbody").replaceChildren(...reasons.map((one) => {
      const row = document.createElement("tr");
      const reason = row.appendChild(document.createElement("th"));
      reason.scope = "row";
      const count = row.appendChild(document.createElement("td"));
      count.className = "number";
      for (const [cell, text] of [[reason, one.reason], [count, one.count]]) {
        const link = cell.appendChild(document.createElement("a"));
        link.href = one.address;
        link.textContent = text;
      }
      count.firstElementChild.setAttribute("aria-label", `${one.count} images: ${one.reason}`);
      return row;
    }));
  };

  const show = (place, words) => {
    for (const element of place.querySelectorAll("[data-show]")) {
      put(element, words[element.dataset.show] ?? "");
    }
    for (const field of place.querySelectorAll("[data-value]")) {
      field.value = words[field.dataset.value] ?? "";
    }
    const badge = place.querySelector("[data-badge]");
    badge.textContent = words.badge;
    badge.className = `badge ${words.badge_kind}`;
    showSegments(place, words.segments, words.progress);
    showReasons(place, words.reasons);
    for (const gauge of place.querySelectorAll("[data-gauge]")) {
      const width = words.gauges[gauge.dataset.gauge];
      gauge.toggleAttribute("hidden", width === undefined);
      gauge.firstElementChild.setAttribute("width", width ?? 0);
    }
    place.querySelector("[data-filled]")?.removeAttribute("hidden");
    put(place.querySelector("[data-trouble]"), "");
  };

  class Place {
    constructor(element) {
      this.element = element;
      this.failures = 0;
      this.seen = !("whenSeen" in element.dataset);
      this.queued = false;
    }

    ask() {
      if (this.queued || !this.seen || document.hidden) {
        return;
      }
      this.queued = true;
      waiting.push(this);
      next();
    }

    async fetch() {
      const answer = await fetch(this.element.dataset.live, {headers: {Accept: "application/json"}});
      if (answer.status === 401) {
        put(this.element.querySelector("[data-trouble]"), "You are no longer logged in. Log in to Airflow and reload.");
        return;
      }
      const told = await answer.json();
      if (answer.ok) {
        this.failures = 0;
        show(this.element, told.words);
        this.again(told.ask_again_after);
      } else if (answer.status >= 500) {
        throw new Error(told.message);
      } else {
        put(this.element.querySelector("[data-trouble]"), told.message);
      }
    }

    failed(error) {
      this.failures += 1;
      const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** this.failures);
      const why = error instanceof TypeError ? "Airflow cannot be reached." : error.message;
      put(this.element.querySelector("[data-trouble]"), `${why} Trying again in ${pause} seconds.`);
      this.again(pause);
    }

    again(seconds) {
      clearTimeout(this.timer);
      this.timer = setTimeout(() => this.ask(), 1000 * seconds * (0.9 + 0.2 * Math.random()));
    }
  }

  const next = async () => {
    if (asking >= AT_ONCE || waiting.length === 0) {
      return;
    }
    asking += 1;
    const place = waiting.shift();
    try {
      await place.fetch();
    } catch (error) {
      place.failed(error);
    } finally {
      place.queued = false;
      asking -= 1;
      next();
    }
  };

  const places = new Map([...document.querySelectorAll("[data-live]")].map((element) => [element, new Place(element)]));

  const sight = new IntersectionObserver((changes) => {
    for (const change of changes) {
      const place = places.get(change.target);
      place.seen = change.isIntersecting;
      place.ask();
    }
  });
  for (const [element, place] of places) {
    if (place.seen) {
      place.again(FIRST_PAUSE);
    } else {
      sight.observe(element);
    }
  }
  document.addEventListener("visibilitychange", () => places.forEach((place) => place.ask()));
})();
