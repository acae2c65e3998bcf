// @ts-check
/**
 * The page's texts: which language, and which element shows which text.
 *
 * A text may hold `{name}` for values. Elements carry keys: `data-text` for their content, `data-label` for name and tooltip.
 */

const LANGUAGE_KEY = "language";

/** The languages that there are; the catalogue of each is the module `texts-{language}.js`, fetched when it is wanted. */
export const LANGUAGES = ["en", "zh-CN"];

/**
 * The language to begin with: the one chosen here before, else the browser's first that we have.
 * @param {readonly string[]} wanted the browser's languages, best first
 * @param {() => Pick<Storage, "getItem">} [storage]
 * @returns {string}
 */
export function chooseLanguage(wanted, storage = () => localStorage) {
  try {
    const chosen = storage().getItem(LANGUAGE_KEY);
    if (chosen !== null && LANGUAGES.includes(chosen)) {
      return chosen;
    }
  } catch {
    // No storage: go by the browser.
  }
  for (const language of wanted) {
    const primary = language.toLowerCase().split("-")[0];
    if (primary === "en" || primary === "zh") {
      return primary === "zh" ? "zh-CN" : "en";
    }
  }
  return "en";
}

/** The texts in the language of the moment, and the elements that show them. */
export class Texts {
  language = LANGUAGES[0];
  /** @type {Record<string, string>} */
  #catalogue = {};
  /** @type {WeakMap<Element, Record<string, string>>} */
  #values = new WeakMap();

  /**
   * Fetch a language and show everything on the page in it. Without its catalogue all stays as it is.
   * @param {string} language
   * @param {Document} page
   */
  async use(language, page) {
    this.#catalogue = (await import(`./texts-${language}.js`)).default;
    this.language = language;
    page.documentElement.lang = language;
    this.apply(page);
  }

  /**
   * The text of a key; an unknown key is shown as it is, which a test catches.
   * @param {string} key
   * @param {Record<string, string>} [values]
   * @returns {string}
   */
  get(key, values = {}) {
    const text = this.#catalogue[key] ?? key;
    return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }

  /**
   * Let an element show a text, now and after a change of language.
   * @param {HTMLElement} element
   * @param {string} key empty: show nothing
   * @param {Record<string, string>} [values]
   */
  show(element, key, values = {}) {
    element.dataset.text = key;
    this.#values.set(element, values);
    this.#fill(element);
  }

  /**
   * Fill in every element below `root`.
   * @param {Document | HTMLElement} root
   */
  apply(root) {
    for (const element of root.querySelectorAll("[data-text], [data-label]")) {
      this.#fill(/** @type {HTMLElement} */ (element));
    }
  }

  /** Remember the language of the moment for the next visit. */
  remember() {
    try {
      localStorage.setItem(LANGUAGE_KEY, this.language);
    } catch {
      // It holds for this page then.
    }
  }

  /** @param {HTMLElement} element */
  #fill(element) {
    const { text, label } = element.dataset;
    if (text !== undefined) {
      element.textContent = text === "" ? "" : this.get(text, this.#values.get(element));
    }
    if (label) {
      element.setAttribute("aria-label", this.get(label));
      if (element.matches("button, a")) {
        element.title = this.get(label);
      }
    }
  }
}
