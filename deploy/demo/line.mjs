// The line between a page and Sidestream, which can be cut: a lost network, as far as one machine can have one. Requests
// are passed on as any proxy does; nothing here knows of cursors but that their header is passed on.
import { get } from 'node:http';
import { pipeline } from 'node:stream';

/** How long nothing comes through once it was cut. */
const CUT_MS = 3000;

const REQUEST_HEADERS = ['accept', 'last-event-id'];
const ANSWER_HEADERS = ['content-type', 'cache-control', 'x-accel-buffering', 'connection'];

const pick = (headers, names) =>
  Object.fromEntries(Object.entries(headers).filter(([name]) => names.includes(name)));

export class Line {
  #target;
  /** The responses under way, each by the name of its page. */
  #open = new Map();
  #cut = new Set();

  /** @param {string} target the stream's URL */
  constructor(target) {
    this.#target = target;
  }

  /**
   * Answers with the stream.
   * @param {string} name of the page that asks
   */
  carry(name, request, response) {
    // Never a status where Sidestream is away: to an EventSource all but 200 is final.
    const drop = () => request.socket.resetAndDestroy();
    if (this.#cut.has(name)) return drop();
    this.#open.set(name, drop);
    const upstream = get(this.#target, { headers: pick(request.headers, REQUEST_HEADERS) }, (answer) => {
      response.writeHead(answer.statusCode, pick(answer.headers, ANSWER_HEADERS));
      pipeline(answer, response, () => {}); // how it ended is for the browser to see
    });
    upstream.on('error', drop);
    response.on('close', () => {
      upstream.destroy();
      if (this.#open.get(name) === drop) this.#open.delete(name);
    });
  }

  /** Resets one page's connection, and for a while every attempt at another. */
  cut(name) {
    const drop = this.#open.get(name);
    if (drop === undefined) return false;
    this.#cut.add(name);
    setTimeout(() => this.#cut.delete(name), CUT_MS).unref();
    drop();
    return true;
  }
}
