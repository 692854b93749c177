import type { Clock } from '../clock.ts';
import { answerTo } from './answer.ts';
import { isObject, readObject } from './control-event.ts';
import type { Trust } from './exchange.ts';

/** Where the control plane is, and what opens it. */
export interface OpsOptions {
  /** Of the ops port: `http://127.0.0.1:9090`. */
  readonly url: URL;
  /** Secret. */
  readonly token: string;
  readonly trust: Trust;
}

/** What came of a call: its answer, or the code of why there is none: the control plane's, `STATUS_<n>`, or Node's. */
export type Outcome =
  | { readonly ok: true; readonly answer: Readonly<Record<string, unknown>>; readonly tookMs: number }
  | { readonly ok: false; readonly code: string };

/** Codes are ours to print only where they look like one. */
const CODE = /^[A-Z][A-Z0-9_]{1,40}$/;

/** The control plane over HTTP, as far as it is of use here. */
export class Ops {
  readonly #options: OpsOptions;
  readonly #clock: Clock;
  readonly #patienceMs: number;

  constructor(options: OpsOptions, clock: Clock, patienceMs: number) {
    this.#options = options;
    this.#clock = clock;
    this.#patienceMs = patienceMs;
  }

  /** One stream, as the bridge sees it. */
  connection(id: string): Promise<Outcome> {
    return this.#call('GET', `connection?${new URLSearchParams({ connection: id })}`);
  }

  /** Sends an event to one stream: nobody else sees it, and it is kept nowhere. */
  send(connection: string, data: string): Promise<Outcome> {
    return this.#call('POST', 'publish', { connection, data, event: 'doctor' });
  }

  drain(instance: string): Promise<Outcome> {
    return this.#call('POST', 'drain', { instance });
  }

  async #call(method: string, target: string, fields?: object): Promise<Outcome> {
    const { url, token, trust } = this.#options;
    const ask = {
      url: new URL(`api/${target}`, url.href.endsWith('/') ? url : `${url.href}/`),
      protocol: 'http/1.1',
      trust,
      method,
      headers: {
        authorization: `Bearer ${token}`,
        'sidestream-caller': 'doctor',
        ...(fields !== undefined && { 'content-type': 'application/json' }),
      },
      ...(fields !== undefined && { body: JSON.stringify(fields) }),
    } as const;
    const answer = await answerTo(ask, this.#clock, this.#patienceMs);
    if (typeof answer === 'string') return { ok: false, code: answer };
    const body = readObject(answer.body);
    if (answer.status === 200) return { ok: true, answer: body, tookMs: answer.tookMs };
    const { code } = isObject(body.error) ? body.error : {};
    return {
      ok: false,
      code: typeof code === 'string' && CODE.test(code) ? code : `STATUS_${answer.status}`,
    };
  }
}
