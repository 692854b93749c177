// The page: its files, and the address that it reads events from.
import { readdirSync, readFileSync } from 'node:fs';
import { extname } from 'node:path';

const FOLDER = new URL('page/', import.meta.url);
const TYPES = { '.html': 'text/html', '.css': 'text/css', '.js': 'text/javascript' };
/** A machine's names for itself. To browsers they are two hosts, each with its own cookies: so one browser can be two visitors. */
const LOOPBACK = ['127.0.0.1', 'localhost'];

/** @typedef {{ body: Buffer, headers: Record<string, string> }} PageFile */

export class Site {
  #events;
  /** @type {Map<string, PageFile>} by path */
  #files = new Map();

  /** @param {string} events what the page opens, such as http://127.0.0.1:8080/events */
  constructor(events) {
    this.#events = new URL(events);
    const policy = this.#policy();
    for (const name of readdirSync(FOLDER)) {
      const type = `${TYPES[extname(name)]}; charset=utf-8`;
      const headers = {
        'content-type': type,
        'cache-control': 'no-cache',
        'content-security-policy': policy,
      };
      const path = name === 'index.html' ? '/' : `/${name}`;
      this.#files.set(path, { body: readFileSync(new URL(name, FOLDER)), headers });
    }
  }

  /** @returns {PageFile | undefined} */
  file(path) {
    return this.#files.get(path);
  }

  /**
   * By the name that the page was asked for by: the cookie is sent to no other.
   * @param {string} host of the request
   */
  eventsFor(host) {
    const [name] = host.split(':');
    return this.#isOnLoopback() && LOOPBACK.includes(name) ? this.#named(name).href : this.#events.href;
  }

  #isOnLoopback() {
    return LOOPBACK.includes(this.#events.hostname);
  }

  #named(hostname) {
    return Object.assign(new URL(this.#events), { hostname });
  }

  #policy() {
    const origins = this.#isOnLoopback()
      ? LOOPBACK.map((name) => this.#named(name).origin)
      : [this.#events.origin];
    return [
      "default-src 'none'",
      "script-src 'self'",
      "style-src 'self'",
      'img-src data:',
      `connect-src 'self' ${origins.join(' ')}`,
      "form-action 'self'",
      "base-uri 'none'",
      "frame-ancestors 'none'",
    ].join('; ');
  }
}
