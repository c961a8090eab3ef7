// What the scripts of all pages share. A page's script is a function body with `element`, `facts`, `call` and `latest`.
window.ganvas = (() => {
  const SLOW = 150; // milliseconds until a page says that it is at work

  // Makes the tools of one page.
  function page(element, props, server) {
    const status = element.querySelector(".status");
    let pending = 0, timer = null;

    function say(words, problem = false) {
      status.textContent = words;
      status.classList.toggle("problem", problem);
    }

    // Asks the studio for something. Answers what it answers, or null after the page has said what is wrong.
    async function call(action, asked, {quiet = false} = {}) {
      pending += 1;
      element.setAttribute("aria-busy", "true");
      if (timer === null) timer = setTimeout(() => {
        status.classList.add("busy");
        if (!quiet) say("Working…");
      }, SLOW);
      let answer;
      try {
        answer = await server[action](asked);
      } catch (error) {
        answer = null;
      }
      pending -= 1;
      if (pending === 0) {
        clearTimeout(timer);
        timer = null;
        status.classList.remove("busy");
        element.setAttribute("aria-busy", "false");
      }
      if (answer === null || typeof answer !== "object" || answer.error !== undefined) {
        say(answer && typeof answer.error === "string" ? answer.error : "The studio does not answer: is it still running?", true);
        return null;
      }
      if (!quiet || status.classList.contains("problem") || status.textContent === "Working…") say(answer.said || "");
      return answer;
    }

    // A function that runs one call at a time; of what is asked meanwhile only the last is done.
    function latest(work) {
      let running = false, next = null;
      return async (...asked) => {
        next = asked;
        if (running) return;
        running = true;
        try {
          while (next !== null) {
            const now = next;
            next = null;
            await work(...now);
          }
        } finally {
          running = false;
        }
      };
    }
    return {facts: props.value, call, latest, say};
  }

  // An element with properties, attributes (those with a dash, and role) and children.
  function make(tag, properties = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
      if (name.includes("-") || name === "role") made.setAttribute(name, value);
      else made[name] = value;
    }
    made.append(...children);
    return made;
  }

  // Fills a <select> with [value, text] pairs.
  function options(select, pairs) {
    select.replaceChildren(...pairs.map(([value, text]) => make("option", {value, textContent: text})));
  }

  // Fills a <select> with the runs that a page is for, and answers a function that gives the facts of the chosen one.
  function runs(select, known) {
    options(select, known.map(run => [run.name, `${run.name} (${run.system})`]));
    select.closest("label").hidden = known.length < 2;
    return () => known.find(run => run.name === select.value);
  }

  // Pictures as buttons; `picked(number)` is called for the one that is chosen. As many as before take their places.
  function tiles(box, pictures, names, picked) {
    if (box.querySelectorAll("button").length !== pictures.length) {
      box.replaceChildren(...pictures.map(() => make("button", {type: "button"}, make("img"))));
    }
    box.querySelectorAll("button").forEach((button, number) => {
      Object.assign(button.firstChild, {src: pictures[number], alt: names[number]});
      button.title = names[number];
      button.setAttribute("aria-pressed", "false");
      button.onclick = () => {
        for (const other of box.querySelectorAll("button")) other.setAttribute("aria-pressed", String(other === button));
        picked(number);
      };
    });
  }

  // A picture with words under it.
  function figure(uri, words) {
    return make("figure", {}, make("img", {src: uri, alt: words}), make("figcaption", {textContent: words}));
  }

  // A link that saves what a `data:` URI holds.
  function saving(uri, name, words) {
    return make("a", {href: uri, download: name, textContent: words});
  }

  // Reads a file as a `data:` URI; null, and says why, if it is too large.
  function read(file, most, say) {
    if (file.size > most) {
      say(`${file.name} has more than ${Math.floor(most / 2 ** 20)} MiB: choose a smaller one.`, true);
      return Promise.resolve(null);
    }
    return new Promise(resolve => {
      const reader = new FileReader();
      reader.onload = () => resolve(reader.result);
      reader.onerror = () => { say(`${file.name} cannot be read.`, true); resolve(null); };
      reader.readAsDataURL(file);
    });
  }

  // A table; the first cell of every row heads it.
  function table({caption, head, rows}) {
    const cells = (row, tag) => row.map((text, number) => make(number ? tag : "th", {textContent: text, scope: tag === "th" ? "col" : "row"}));
    return make("div", {className: "wide"}, make("table", {}, make("caption", {textContent: caption}),
      make("thead", {}, make("tr", {}, ...cells(head, "th"))),
      make("tbody", {}, ...rows.map(row => make("tr", {}, ...cells(row, "td"))))));
  }

  // The result of a study: sentences and tables.
  function result({said, tables}) {
    return [...said.map(words => make("p", {textContent: words})), ...tables.map(table)];
  }

  return {page, make, options, runs, tiles, figure, saving, read, table, result};
})();
