import { createServer } from 'node:http';
import type { Browser, Page } from 'playwright-core';
import { onTestFinished } from 'vitest';

/** What the page below keeps of an event. */
export interface SeenEvent {
  readonly type: string;
  readonly data: string;
  readonly id: string;
}

/**
 * An empty page of an origin of its own, with one function: `watch(url, types, credentials)` opens a native
 * EventSource and keeps what it is given in `seen`, and how often it connected and failed.
 */
const HTML = `<!doctype html><meta charset="utf-8"><title>watching</title><script>
window.seen = []; window.opens = 0; window.errors = 0;
window.watch = (url, types, withCredentials) => {
  const source = window.source = new EventSource(url, { withCredentials });
  source.onopen = () => { window.opens += 1; };
  source.onerror = () => { window.errors += 1; };
  for (const type of types) source.addEventListener(type, ({ data, lastEventId }) => {
    window.seen.push({ type, data, id: lastEventId });
  });
};
</script>`;

/** A page in a browser, as a test drives it. */
export class WatchingPage {
  readonly origin: string;
  readonly #page: Page;

  constructor(page: Page, origin: string) {
    this.#page = page;
    this.origin = origin;
  }

  async watch(url: string, types: readonly string[], options: { credentials?: boolean } = {}): Promise<void> {
    const given = JSON.stringify([url, types, options.credentials ?? false]);
    await this.#page.evaluate(`watch(...${given})`);
  }

  /** Has the page's own server set the cookie `session`. Cookies know hosts and no ports: every server here is sent it. */
  async logIn(): Promise<void> {
    await this.#page.evaluate("fetch('/login', { method: 'POST' }).then(() => undefined)");
  }

  /** Waits until an expression in the page is true. */
  async until(expression: string): Promise<void> {
    await this.#page.waitForFunction(expression, undefined, { timeout: 20_000 });
  }

  async seen(type?: string): Promise<SeenEvent[]> {
    const all: SeenEvent[] = JSON.parse(await this.#page.evaluate('JSON.stringify(seen)'));
    return type === undefined ? all : all.filter((event) => event.type === type);
  }

  /** Waits for the `count`th event of a type and gives it. */
  async event(type: string, count = 1): Promise<SeenEvent> {
    await this.until(`seen.filter((event) => event.type === ${JSON.stringify(type)}).length >= ${count}`);
    const found = (await this.seen(type))[count - 1];
    if (found === undefined) throw new Error(`no ${type} number ${count}`);
    return found;
  }

  async value(expression: string): Promise<unknown> {
    return this.#page.evaluate(expression);
  }
}

/**
 * Serves the page from an origin of its own and opens it; both are gone when the test is over. `login` gives the token that
 * {@link WatchingPage.logIn} is answered with, and what `/ticket` answers.
 */
export async function openPage(browser: Browser, login = async () => ''): Promise<WatchingPage> {
  const server = createServer(async ({ url }, response) => {
    if (url === '/ticket') response.writeHead(200, { 'Content-Type': 'text/plain' }).end(await login());
    else if (url === '/login') {
      response
        .writeHead(204, { 'Set-Cookie': `session=${await login()}; Path=/; HttpOnly; SameSite=Lax` })
        .end();
    } else response.writeHead(200, { 'Content-Type': 'text/html' }).end(HTML);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
  const address = server.address();
  const origin = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  const context = await browser.newContext();
  onTestFinished(async () => {
    await context.close();
    server.closeAllConnections();
    server.close();
  });
  const page = await context.newPage();
  await page.goto(origin);
  return new WatchingPage(page, origin);
}
