// Small helpers to make and fill elements. Text always goes in as text, never
// as markup, so nothing that a job is called can become code.

/**
 * @typedef {Node | string | number | null | undefined | false} Child
 * @typedef {Record<string, any>} Properties
 */

/**
 * Makes an element. Properties that start with "on" are listeners, `class` and
 * names with a dash are attributes, everything else is set on the element.
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Properties} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function h(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) element.addEventListener(name.slice(2), value);
    else if (name === 'class' || name === 'role' || name === 'for' || name.includes('-'))
      element.setAttribute(name, value === true ? '' : String(value));
    else /** @type {any} */ (element)[name] = value;
  }
  element.append(...kept(children));
  return element;
}

/**
 * Replaces what an element holds.
 * @param {Element} element
 * @param {...Child} children
 */
export function fill(element, ...children) {
  element.replaceChildren(...kept(children));
}

/**
 * @param {Child[]} children
 * @returns {(Node | string)[]}
 */
function kept(children) {
  return children
    .filter((c) => c !== null && c !== undefined && c !== false)
    .map((c) => (c instanceof Node ? c : String(c)));
}

/**
 * Sets text only where it differs, so that a screen reader is not told again.
 * @param {Element} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * A titled part of the page.
 * @param {string} title
 * @param {Child} aside what stands at the title's right
 * @param {...Child} children
 */
export function panel(title, aside, ...children) {
  return h('section', { class: 'panel', 'aria-label': title },
    h('header', {}, h('h3', {}, title), aside), ...children);
}

/**
 * What a panel says while it has nothing to show.
 * @param {string} text
 */
export function empty(text) {
  return h('p', { class: 'empty' }, text);
}
