// @ts-check
/** Lets the browser install the page like an app: registers the service worker, which says so when there is no network. */

/**
 * Never throws: without it everything works, but for the message. Browsers refuse it where they distrust the certificate.
 * @param {string} base path prefix of the site
 */
export async function register(base) {
  if (!isSecureContext || !navigator.serviceWorker) {
    return;
  }
  try {
    await navigator.serviceWorker.register(`${base}/sw.js`, { scope: `${base}/`, updateViaCache: "none" });
  } catch (error) {
    console.info("rtcd: not installable:", error);
  }
}
