// Warns before a session ends, so that nobody loses what they have typed. Without it nothing is
// different: pages with forms say how long one may take.
const dialog = document.querySelector("[data-ending]");
if (dialog?.showModal) watch(dialog);

function watch(dialog) {
  const part = (name) => dialog.querySelector(`[data-ending-${name}]`);
  const left = part("left");
  // Pages of one browser share one session: whichever is used keeps it for all.
  const others = "BroadcastChannel" in window ? new BroadcastChannel("bluelamp") : null;
  let idle, last, used, dismissed, over;

  // Times as the console gave them, in ms from now: without a click, and whatever one does.
  function begin(given) {
    used = Date.now();
    idle = Number(given.idle);
    last = used + Number(given.last);
    dismissed = over = false;
  }
  const early = () => Math.min(120_000, idle / 2);
  const isLast = () => last <= used + idle;

  function check() {
    const rest = Math.min(used + idle, last) - Date.now();
    if (over) return;
    if (rest <= 0) end();
    else if (rest <= early()) warn(rest);
    else if (dialog.open) dialog.close();
  }

  function warn(rest) {
    show(isLast() ? "last" : "idle");
    tell(rest > 60_000 ? `in ${Math.ceil(rest / 60_000)} minutes` : rest > 20_000 ? "within a minute" : "in a few seconds");
    if (!dialog.open && !dismissed) dialog.showModal();
  }

  function end() {
    over = true;
    show("over");
    tell("");
    if (!dialog.open) dialog.showModal();
  }

  function show(which) {
    for (const each of dialog.querySelectorAll("[data-ending-when]")) {
      each.hidden = !each.dataset.endingWhen.split(" ").includes(which);
    }
  }

  // It is read out when it changes, and only then.
  function tell(text) {
    if (left.textContent !== text) left.textContent = text;
  }

  async function stay() {
    let answer;
    try {
      answer = await fetch("/stay", { method: "POST" });
    } catch {
      tell("very soon: the console cannot be reached just now");
      return;
    }
    if (!answer.ok) return end();
    begin(await answer.json());
    dialog.close();
    others?.postMessage("used");
  }

  function wasUsed() {
    if (over) return;
    used = Date.now();
    check();
  }

  // Whoever puts the warning away wants to go on.
  dialog.addEventListener("cancel", (event) => {
    event.preventDefault();
    if (over || isLast()) away();
    else stay();
  });
  function away() {
    dismissed = true;
    dialog.close();
  }
  part("stay").addEventListener("click", stay);
  part("away").addEventListener("click", away);
  document.addEventListener("bluelamp:used", () => {
    wasUsed();
    others?.postMessage("used");
  });
  others?.addEventListener("message", wasUsed);
  document.addEventListener("visibilitychange", check);

  begin(dialog.dataset);
  others?.postMessage("used");
  setInterval(check, 1000);
}
