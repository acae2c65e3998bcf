// @ts-check
/**
 * The page's texts: which language, and which element shows which text.
 *
 * A text may hold `{name}` for values. Elements carry keys: `data-text` for their content, `data-label` for name and tooltip,
 * `data-placeholder` for an empty field. The server has filled them in once, in the language of `<html lang>`.
 */

/** The languages that there are; the catalogue of each is `texts-{language}.json`, fetched when it is wanted. */
export const LANGUAGES = ["en", "zh-CN"];

const YEAR_S = 31_536_000;

/**
 * The cookie by which the server knows the reader's choice at the next visit.
 * @param {string} language
 * @param {string} base path prefix of the site
 * @returns {string} for `document.cookie`
 */
export function languageCookie(language, base) {
  return `language=${language}; path=${base}/; max-age=${YEAR_S}; samesite=lax`;
}

/** The texts in the language of the moment, and the elements that show them. */
export class Texts {
  language = LANGUAGES[0];
  /** @type {Record<string, string>} */
  #catalogue = {};
  /** @type {WeakMap<Element, Record<string, string>>} */
  #values = new WeakMap();

  /** The language that is not spoken now. */
  get other() {
    return LANGUAGES[this.language === "en" ? 1 : 0];
  }

  /**
   * Fetch a language and show everything on the page in it. Without its catalogue all stays as it is: false.
   * @param {string} language
   * @param {Document} page
   */
  async use(language, page) {
    const known = LANGUAGES.includes(language) ? language : LANGUAGES[0];
    try {
      const answer = await fetch(new URL(`./texts-${known}.json`, import.meta.url));
      this.#catalogue = await answer.json();
    } catch (error) {
      console.warn("rtcd: no texts", known, error);
      return false;
    }
    this.language = known;
    page.documentElement.lang = known;
    this.apply(page);
    return true;
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
    for (const element of root.querySelectorAll("[data-text], [data-label], [data-placeholder]")) {
      this.#fill(/** @type {HTMLElement} */ (element));
    }
  }

  /** @param {HTMLElement} element */
  #fill(element) {
    const { text, label, placeholder } = element.dataset;
    if (text !== undefined) {
      element.textContent = text === "" ? "" : this.get(text, this.#values.get(element));
    }
    if (label) {
      element.setAttribute("aria-label", this.get(label, this.#values.get(element)));
      if (element.matches("button, a")) {
        element.title = this.get(label, this.#values.get(element));
      }
    }
    if (placeholder) {
      element.setAttribute("placeholder", this.get(placeholder));
    }
  }
}
