// Makes the pages a little better; nothing depends on it.
import { Button, ErrorSummary, FileUpload, NotificationBanner, PasswordInput, Radios, ServiceNavigation, SkipLink, createAll } from "./govuk-frontend.js";
import { MultiSelect } from "./moj-frontend.js";

for (const component of [Button, ErrorSummary, FileUpload, NotificationBanner, PasswordInput, Radios, ServiceNavigation, SkipLink]) {
  createAll(component);
}
for (const table of document.querySelectorAll('[data-module="moj-multi-select"]')) {
  new MultiSelect(table);
  // It stands above the list here, and so it is said to everybody what it is.
  const every = table.querySelector("#select-all label");
  if (every) every.className = "govuk-label govuk-checkboxes__label";
  every?.parentElement.classList.remove("moj-multi-select__checkbox");
  every?.querySelector("span").classList.remove("govuk-visually-hidden");
}

// A search that is running is fetched again, and its results are put in place.
const live = document.querySelector("[data-live]");
const aloud = document.querySelector("[data-live-said]");
// How far it is, for whoever hears the page: every five seconds, and when it is over.
let said = 0;
function say(text) {
  if (!aloud || !text || (live.dataset.live === "running" && Date.now() - said < 5000)) return;
  said = Date.now();
  aloud.textContent = text.replace(/\s+/g, " ").trim();
}
async function again() {
  let answer;
  try {
    answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  } catch {
    setTimeout(again, 3000); // the network was away for a moment; the search goes on
    return;
  }
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const fresh = page.querySelector("[data-live]");
  if (!fresh) return;
  const stopping = live.querySelector("form button") === document.activeElement;
  live.replaceChildren(...fresh.childNodes);
  if (stopping) live.querySelector("form button")?.focus();
  // What can be done with the results once they are all there.
  const after = page.querySelector("[data-live-after]");
  if (after) document.querySelector("[data-live-after]")?.replaceChildren(...after.childNodes);
  live.dataset.live = fresh.dataset.live;
  say(live.querySelector("[data-live-now]")?.textContent);
  document.dispatchEvent(new Event("bluelamp:used"));
  if (live.dataset.live === "running") setTimeout(again, 700);
}
if (live && live.dataset.live === "running") setTimeout(again, 500);

// A long list of check boxes can be narrowed by what is typed; what is checked always shows.
for (const picks of document.querySelectorAll("[data-picks]")) {
  const items = [...picks.querySelectorAll(".govuk-checkboxes__item")];
  if (items.length < 6 || !picks.dataset.picks) continue;
  const find = document.createElement("input");
  const count = document.createElement("p");
  find.className = "govuk-input bl-picks__find";
  find.type = "search";
  find.autocomplete = "off";
  find.placeholder = picks.dataset.picks;
  find.setAttribute("aria-label", picks.dataset.picks);
  count.className = "bl-picks__count";
  count.setAttribute("role", "status");
  const narrow = () => {
    const wanted = find.value.trim().toLowerCase();
    let shown = 0;
    for (const item of items) {
      item.hidden = !item.textContent.toLowerCase().includes(wanted) && !item.querySelector("input").checked;
      shown += item.hidden ? 0 : 1;
    }
    count.textContent = `${shown} of ${items.length} shown, ${picks.querySelectorAll("input:checked").length} selected`;
  };
  find.addEventListener("input", narrow);
  find.addEventListener("keydown", (event) => { if (event.key === "Enter") event.preventDefault(); });
  picks.addEventListener("change", narrow);
  const list = picks.querySelector(".govuk-checkboxes");
  list.before(find);
  list.after(count);
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
for (const button of document.querySelectorAll("[data-copy]")) {
  button.hidden = !navigator.clipboard;
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(new URL(button.dataset.copy, location.href).href);
    button.textContent = "Copied";
  });
}
