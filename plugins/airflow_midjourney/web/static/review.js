// Deciding by keyboard. A decision that is not written yet is kept with the window, and sent again until it is.
"use strict";

(() => {
  const find = (name) => document.querySelector(`[data-${name}]`);
  const kept = window.sessionStorage;
  const BOX = "midjourney-review-unsent";
  const ENOUGH_AHEAD = 2;
  const PAUSE_MS = 1000;

  const images = [];
  const undoable = [];
  let place = 0;
  let last = null;
  let asking = false;
  let sending = false;
  let settled = 0;
  // Whether a decision was on its way while the server counted: the count may have it or not.
  let miscounted = false;
  let counts = { decided: 0, all: 0 };
  const decisions = [];

  const windowName = () => {
    let name = kept.getItem("midjourney-review-window");
    if (!name) {
      name = [...window.crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      kept.setItem("midjourney-review-window", name);
    }
    return name;
  };

  const unsent = () => JSON.parse(kept.getItem(BOX) || "[]");
  const keep = (orders) => kept.setItem(BOX, JSON.stringify(orders));

  const say = (words) => {
    find("note").textContent = words;
    find("note").hidden = !words;
  };

  const post = (address, body) =>
    window.fetch(address, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ window: windowName(), ...body }),
    });

  // A login that has expired can be renewed in another window; any other refusal would come again.
  const isRefusal = (answer) => answer.status >= 400 && answer.status < 500 && answer.status !== 401;

  const addressOf = (image) => `picture?id=${image.id}&size=large`;

  const wordsOf = (review, outdated) => {
    if (!review || review.decision === "withdrawn") {
      return "Undecided.";
    }
    const words = `${review.decision} by ${review.reviewer}${review.caption ? `: ${review.caption}` : ""}`;
    return outdated ? `Outdated, there is a new answer: ${words}` : words;
  };

  const showProgress = () => {
    const minute = 60000;
    const recent = decisions.filter((when) => Date.now() - when < 5 * minute);
    const since = recent.length > 1 ? Math.max(Date.now() - recent[0], 1) / minute : 0;
    const pace = since ? ` · ${Math.round((recent.length - 1) / since)} a minute` : "";
    const waiting = unsent().length;
    const all = counts.all > 10000 ? "more than 10,000" : String(counts.all);
    find("progress").textContent = `${counts.decided} of ${all} decided${pace}${waiting ? ` · ${waiting} not saved yet` : ""}`;
  };

  const loadAhead = () => {
    if (find("review").dataset.pictures === "yes") {
      for (const following of images.slice(place + 1, place + 1 + ENOUGH_AHEAD)) {
        new window.Image().src = addressOf(following);
      }
    }
  };

  const show = () => {
    const image = images[place];
    find("review").hidden = !image;
    find("empty").hidden = Boolean(image) || asking;
    find("editing").hidden = true;
    showProgress();
    if (!image) {
      return;
    }
    find("away").hidden = true;
    find("frame").hidden = find("review").dataset.pictures !== "yes";
    if (!find("frame").hidden) {
      find("picture").src = addressOf(image);
    }
    find("key").textContent = image.key;
    find("key").href = `image?id=${image.id}`;
    find("decision").textContent = wordsOf(image.newest, image.outdated);
    find("choices").replaceChildren(
      ...image.prompts.map((prompt, index) => {
        const item = document.createElement("li");
        const button = document.createElement("button");
        const key = document.createElement("kbd");
        const text = document.createElement("bdi");
        key.textContent = String(index + 1);
        text.textContent = prompt;
        button.type = "button";
        button.append(key, text);
        const chosen = image.newest && image.newest.decision === "approved" && image.newest.caption === prompt;
        button.setAttribute("aria-pressed", String(Boolean(chosen && !image.outdated)));
        button.addEventListener("click", () => approve(index + 1));
        item.append(button);
        return item;
      }),
    );
    loadAhead();
  };

  const ask = async () => {
    if (asking || images.length - place > ENOUGH_AHEAD) {
      return;
    }
    asking = true;
    const settledBefore = settled;
    const sendingBefore = sending;
    let waited;
    try {
      const answer = await post(`api/review/next${window.location.search}`, { after: last });
      if (isRefusal(answer)) {
        // It stays asked: this page asks no more.
        say(`No further images are given to you (${answer.status}). Load this page anew, or log in with the right to edit the DAG.`);
        return;
      }
      if (!answer.ok) {
        throw new Error(String(answer.status));
      }
      const found = await answer.json();
      waited = !images[place];
      counts = { decided: found.decided, all: found.all };
      for (const image of found.images) {
        images.push(image);
        last = image.id;
      }
      asking = false;
    } catch {
      asking = false;
      say(`${AWAY}; this page asks again by itself.`);
      window.setTimeout(ask, PAUSE_MS);
      return;
    }
    isBack();
    miscounted = sendingBefore || sending || settled !== settledBefore;
    if (!sending) {
      askForCount();
    }
    if (waited) {
      show();
    } else {
      // The reviewer is at an image, and may be writing: it stays as it is.
      showProgress();
      loadAhead();
    }
  };

  const askForCount = () => {
    if (miscounted) {
      void ask();
    }
  };

  const isDecided = (review, outdated) => Boolean(review) && review.decision !== "withdrawn" && !outdated;

  // Later orders about an image follow what the window itself has written, and never what it has not shown.
  const settle = (order, outcome) => {
    settled += 1;
    const written = outcome.written === "added" || outcome.written === "repeated";
    const others = unsent().slice(1);
    const ofOthers = others.filter((one) => one.image_id !== order.image_id);
    const follow = (one) => (one.image_id === order.image_id ? { ...one, newest: outcome.newest.id } : one);
    keep(written ? others.map(follow) : ofOthers);
    const image = images.find((one) => one.id === order.image_id);
    if (image && outcome.newest) {
      const before = isDecided(image.newest, image.outdated);
      image.newest = outcome.newest;
      image.outdated = outcome.written === "answer_changed";
      counts.decided += Number(isDecided(image.newest, image.outdated)) - Number(before);
    }
    if (outcome.written === "decided_meanwhile") {
      say(`${order.key}: not written, since another decision came first: ${wordsOf(outcome.newest, false)}. Go back with ← to decide anew.`);
    } else if (outcome.written === "answer_changed") {
      say(`${order.key}: not written, since it has other prompts by now. It comes again when this page is loaded anew.`);
    } else if (!written) {
      say(`${order.key}: not written, it cannot be decided about any more.`);
    }
  };

  const AWAY = "The server does not answer";
  const isBack = () => {
    if (find("note").textContent.startsWith(AWAY)) {
      say("");
    }
  };

  // One after the other: two decisions about one image are to arrive in their order.
  const send = async () => {
    if (sending) {
      return;
    }
    sending = true;
    while (unsent().length) {
      const { key, ...body } = unsent()[0];
      const answer = await post("api/review", body).catch(() => null);
      if (answer === null || answer.status >= 500 || answer.status === 401) {
        // Whether it was written is not known: it is sent again as it was.
        say(`${AWAY}, or has forgotten you (log in in another window); decisions are kept and sent again.`);
        showProgress();
        await new Promise((resolve) => window.setTimeout(resolve, PAUSE_MS));
        continue;
      }
      isBack();
      if (answer.ok) {
        settle(unsent()[0], await answer.json());
      } else {
        keep(unsent().slice(1));
        say(`${key}: not written (${answer.status}). You may not decide about it.`);
      }
      showProgress();
    }
    sending = false;
    askForCount();
    const image = images[place];
    if (image) {
      find("decision").textContent = wordsOf(image.newest, image.outdated);
    }
  };

  const order = (image, decision, more) => {
    keep([...unsent(), { image_id: image.id, answer: image.answer, newest: image.newest ? image.newest.id : null, key: image.key, decision, ...more }]);
    void send();
  };

  const go = (to) => {
    place = Math.max(0, Math.min(to, images.length));
    show();
    void ask();
  };

  const decide = (decision, more) => {
    const image = images[place];
    if (!image) {
      return;
    }
    say("");
    undoable.push(place);
    decisions.push(Date.now());
    order(image, decision, more);
    go(place + 1);
  };

  const approve = (number) => {
    const image = images[place];
    if (image && number <= image.prompts.length) {
      decide("approved", { prompt: number });
    }
  };

  const deeds = {
    edit: () => {
      const image = images[place];
      if (image) {
        find("editing").hidden = false;
        find("text").value = image.texts[0] || "";
        find("text").focus();
      }
    },
    save: () => {
      const text = find("text").value.trim();
      if (text) {
        decide("approved", { text });
      }
    },
    cancel: () => {
      find("editing").hidden = true;
    },
    reject: () => decide("rejected", {}),
    skip: () => go(place + 1),
    back: () => go(place - 1),
    forward: () => go(place + 1),
    undo: () => {
      const to = undoable.pop();
      if (to !== undefined) {
        order(images[to], "withdrawn", {});
        go(to);
      }
    },
  };

  for (const button of document.querySelectorAll("[data-do]")) {
    button.addEventListener("click", () => deeds[button.dataset.do]());
  }

  find("picture").addEventListener("error", () => {
    find("frame").hidden = true;
    find("away").hidden = false;
  });

  const KEYS = { e: "edit", r: "reject", s: "skip", u: "undo", arrowleft: "back", arrowright: "forward" };

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat) {
      return;
    }
    if (event.target.closest("input, select, textarea")) {
      if (event.target.matches("[data-text]") && event.key === "Escape") {
        event.target.blur();
        deeds.cancel();
      }
      return;
    }
    const deed = KEYS[event.key.toLowerCase()];
    if (deed) {
      event.preventDefault();
      deeds[deed]();
    } else if (/^[1-4]$/.test(event.key)) {
      event.preventDefault();
      approve(Number(event.key));
    }
  });

  // Decisions that an earlier load of this window could not send come first: a decided image is not to be lent again.
  void send().then(ask);
})();
