// One way to make elements: `element("li", {class: "in"}, "text", child)`. Text is always text, never markup.

export function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === false || value === null || value === undefined) continue;
    if (typeof value === "function") made.addEventListener(key, value);
    else made.setAttribute(key, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

/** 93784 → "1 d 2 h", 75 → "1 min 15 s", 3.2 → "3.2 s": the two largest units of so many seconds. */
export function span(seconds) {
  if (seconds < 10) return `${Math.max(0, seconds).toFixed(1)} s`;
  const units = [["d", 86_400], ["h", 3_600], ["min", 60], ["s", 1]];
  const parts = [];
  let left = Math.floor(seconds);
  for (const [unit, size] of units) {
    if (left >= size || (parts.length > 0 && parts.length < 2)) parts.push(`${Math.floor(left / size)} ${unit}`);
    left %= size;
    if (parts.length === 2) break;
  }
  return parts.join(" ");
}
