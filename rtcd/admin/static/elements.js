// @ts-check
/** How a page of the administration is put together. */

/**
 * @param {string} tag
 * @param {Record<string, string>} attributes
 * @param {...(Node | string)} content
 */
export function make(tag, attributes, ...content) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    made.setAttribute(name, value);
  }
  made.append(...content);
  return made;
}

/**
 * A button, whose key nothing else in the page has.
 * @param {string} key
 * @param {string} label
 * @param {Record<string, string>} attributes
 * @param {() => unknown} press
 */
export function button(key, label, attributes, press) {
  const made = make("button", { type: "button", "data-key": key, ...attributes }, label);
  made.onclick = press;  // a property, which fill() can hand on
  return made;
}

/**
 * Have a place hold what is wanted. What is there already stays, with focus, selected text and a press that is under way, and only
 * takes over what has changed; elements of another class or `data-key` are never taken for each other.
 * @param {Node} place
 * @param {...Node} wanted made for this, and in no other place
 */
export function fill(place, ...wanted) {
  let next = place.firstChild;
  for (const one of wanted) {
    let found = next;
    while (found !== null && !alike(found, one)) {
      found = found.nextSibling;
    }
    if (found === null) {
      place.insertBefore(one, next);
      continue;
    }
    while (next !== found) {
      next = without(next);
    }
    take(found, one);
    next = found.nextSibling;
  }
  while (next !== null) {
    next = without(next);
  }
}

/** @param {any} one @returns {ChildNode | null} what came behind it */
function without(one) {
  const next = one.nextSibling;
  one.remove();
  return next;
}

/** @param {any} one @param {any} other */
const alike = (one, other) =>
  one.nodeName === other.nodeName && one.className === other.className && one.dataset?.key === other.dataset?.key;

/** @param {any} old @param {any} fresh */
function take(old, fresh) {
  if (old.attributes === undefined) {
    if (old.nodeValue !== fresh.nodeValue) {
      old.nodeValue = fresh.nodeValue;
    }
    return;
  }
  for (const { name } of [...old.attributes]) {
    fresh.hasAttribute(name) || old.removeAttribute(name);
  }
  for (const { name, value } of [...fresh.attributes]) {
    old.getAttribute(name) === value || old.setAttribute(name, value);
  }
  old.onclick = fresh.onclick;
  fill(old, ...fresh.childNodes);
}
