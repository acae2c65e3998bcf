// @ts-check
/**
 * Firefox for tests in other languages, driven by WebDriver BiDi: one JSON object a line in, one a line out.
 *
 * Arguments: the folder in whose node_modules puppeteer-core is, Firefox, and a profile's folder.
 * In: `{id, do: "open"|"goto"|"click"|"evaluate"|"close", page?, …}`. Out, first of all: `{pid}`, of Firefox; then
 * `{id, value}` or `{id, error}` for each, and `{page, complaint}` for what goes wrong within a page. The end of the input
 * ends Firefox and this program.
 */

import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, executablePath, userDataDir] = process.argv.slice(2);
const found = createRequire(`${folder}/package.json`).resolve("puppeteer-core");
const { default: puppeteer } = await import(pathToFileURL(found).href);

/** @param {object} message */
const answer = (message) => process.stdout.write(`${JSON.stringify(message)}\n`);

const browser = await puppeteer.launch({
    browser: "firefox",
    executablePath,
    userDataDir,
    headless: true,
    acceptInsecureCerts: true,
    extraPrefsFirefox: {
        "media.navigator.streams.fake": true,
        "media.navigator.permission.disabled": true,
        "media.autoplay.default": 0,
        "media.peerconnection.ice.loopback": true,
        "network.proxy.type": 0,
        "intl.accept_languages": "en",
    },
});
/** @type {Map<number, any>} */
const pages = new Map();

/** What can be asked for. */
const COMMANDS = {
    /** A page of a person of their own. @param {{id: number, viewport?: {width: number, height: number}}} asked */
    async open({ id, viewport }) {
        const context = await browser.createBrowserContext();
        const page = await context.newPage();
        if (viewport) await page.setViewport(viewport);
        page.on("pageerror", (/** @type {Error} */ error) => answer({ page: id, complaint: String(error) }));
        page.on("console", (/** @type {any} */ message) => {
            if (message.type() === "error") answer({ page: id, complaint: message.text() });
        });
        pages.set(id, page);
        return id;
    },
    /** @param {{page: number, url: string}} asked */
    async goto({ page, url }) {
        await pages.get(page).goto(url, { waitUntil: "domcontentloaded" });
    },
    /** @param {{page: number, selector: string}} asked */
    async click({ page, selector }) {
        const element = await pages.get(page).waitForSelector(selector, { visible: true });
        await element.click();
    },
    /**
     * The value of an expression, or what the function that it is returns.
     * @param {{page: number, code: string, arg: any}} asked
     */
    async evaluate({ page, code, arg }) {
        const given = `const it = (${code}); return typeof it === "function" ? it(${JSON.stringify(arg)}) : it;`;
        return pages.get(page).evaluate(`(async () => { ${given} })()`);
    },
    /** @param {{page: number}} asked */
    async close({ page }) {
        await pages.get(page).close();
        pages.delete(page);
    },
};

/** @param {any} asked */
async function obey(asked) {
    try {
        const command = /** @type {any} */ (COMMANDS)[asked.do];
        answer({ id: asked.id, value: (await command(asked)) ?? null });
    } catch (error) {
        answer({ id: asked.id, error: String(error) });
    }
}

answer({ pid: browser.process()?.pid });
for await (const line of createInterface({ input: process.stdin })) void obey(JSON.parse(line));
await browser.close().catch(() => {});
process.exit(0);
