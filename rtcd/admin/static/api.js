// @ts-check
/** How a page of the administration asks the API, as whoever has logged in. */

const TIMEOUT_MS = 10_000;

/** An answer that says why not. */
export class Refused extends Error {
  /** @param {number} status @param {string} detail */
  constructor(status, detail) {
    super(detail);
    this.status = status;
  }
}

/**
 * Ask the API; null for an answer without a body.
 * @param {string} method
 * @param {string} path an address relative to the page
 * @param {unknown} [body]
 */
export async function ask(method, path, body) {
  const headers = { Accept: "application/json", "X-Requested-With": "rtcd", ...(body === undefined ? {} : { "Content-Type": "application/json" }) };
  const answer = await fetch(path, {
    method, headers, body: body === undefined ? undefined : JSON.stringify(body), cache: "no-store",
    credentials: "same-origin", signal: AbortSignal.timeout(TIMEOUT_MS),
  });
  if (!answer.ok) {
    const problem = await answer.json().catch(() => ({}));
    throw new Refused(answer.status, String(problem.detail ?? answer.status));
  }
  return answer.status === 204 ? null : answer.json();
}
