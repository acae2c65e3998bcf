// @ts-check
/// <reference lib="webworker" />
/**
 * The service worker: without a network, a page that says so in place of the browser's own. It keeps that page and what it
 * needs, never a page of the site, never an answer of the server. Its text has the hash of the static files in it, so each
 * version of rtcd is another worker, which clears away what the former one kept.
 */

const worker = /** @type {ServiceWorkerGlobalScope} */ (/** @type {unknown} */ (self));

const BASE = "{{base}}";
const STATIC = "{{static}}";
const FAMILY = `rtcd:${BASE}:`;
const CACHE = FAMILY + STATIC;
const OFFLINE = `${BASE}/offline.html`;
const KEPT = [OFFLINE, ...["page.css", "favicon.svg", "icon-192.png", "icon-512.png"].map((name) => `${STATIC}/${name}`)];

async function keep() {
  const cache = await caches.open(CACHE);
  await cache.addAll(KEPT.map((path) => new Request(path, { cache: "reload" })));
  await worker.skipWaiting();
}

async function clear() {
  const old = (await caches.keys()).filter((name) => name.startsWith(FAMILY) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await worker.registration.navigationPreload?.enable();
  await worker.clients.claim();
}

/** @param {string | URL} path */
async function kept(path) {
  return (await caches.open(CACHE)).match(path);
}

/** @param {FetchEvent} event */
async function visit(event) {
  try {
    return (await event.preloadResponse) ?? (await fetch(event.request));
  } catch {
    return (await kept(OFFLINE)) ?? Response.error();
  }
}

/** @param {Request} request */
async function part(request) {
  return (await kept(request.url)) ?? fetch(request);
}

worker.oninstall = (event) => event.waitUntil(keep());
worker.onactivate = (event) => event.waitUntil(clear());
worker.onfetch = (event) => {
  const { request } = event;
  if (request.mode === "navigate") {
    event.respondWith(visit(event));
  } else if (request.method === "GET" && KEPT.includes(request.url.slice(worker.location.origin.length))) {
    event.respondWith(part(request));
  }
};
