import type { Clock } from '../clock.ts';
import type { Config } from '../config/schema.ts';
import type { Logger } from '../log.ts';
import { ClientAddress, peerAddress } from './address.ts';
import { Admission, type Holder } from './admission.ts';
import { Cors } from './cors.ts';
import { seatsFor } from './descriptors.ts';
import { Failures } from './failures.ts';
import { ALONE, type Others } from './others.ts';
import { Renderings } from './renderings.ts';
import type { Ask, Wanted } from './request.ts';
import { Retry } from './retry.ts';
import type { HttpResponse } from './uws.ts';

export interface FrontOptions {
  /** As it is now: what is read of it may change. */
  readonly config: Config;
  readonly clock: Clock;
  readonly log: Logger;
  readonly others: Others;
  readonly authenticator: { readonly checksTokens: boolean };
  /** Streams that are open. */
  connections(): number;
}

/** What the config says of every request, worked out so that a request costs little: once, and when the config has changed. */
export class Front {
  readonly admission: Admission;
  readonly failures: Failures;
  readonly renderings: Renderings;
  readonly retry: Retry;
  #cors: Cors;
  #addresses: ClientAddress;
  #needsAddresses: boolean;
  #wanted: Wanted;
  readonly #options: FrontOptions;

  constructor(options: FrontOptions) {
    const { config, clock, others, connections } = options;
    this.#options = options;
    this.admission = new Admission(clock, config.limits, { seats: this.#seats(), others });
    this.failures = new Failures(clock, config.auth.failureRatePerSecond, others);
    this.renderings = new Renderings(config.sse);
    this.retry = new Retry({
      clock,
      get retryMs() {
        return config.sse.retryMs;
      },
      get reconnectRatePerSecond() {
        return config.drain.reconnectRatePerSecond;
      },
      connections,
    });
    this.#cors = new Cors(config.http.cors);
    this.#addresses = new ClientAddress(config.http);
    this.#needsAddresses = this.#asksAddresses();
    this.#wanted = this.#wants();
  }

  get cors(): Cors {
    return this.#cors;
  }

  /** What of a request is to be read. */
  get wanted(): Wanted {
    return this.#wanted;
  }

  /** Empty where nothing needs it. */
  address(res: HttpResponse, ask: Ask): string {
    if (!this.#needsAddresses && !this.#options.log.isLevelEnabled('debug')) return '';
    return this.addressOf(res, ask);
  }

  addressOf(res: HttpResponse, ask: Ask): string {
    return this.#addresses.of(peerAddress(res.getRemoteAddress()), ask.forwarded);
  }

  /** The config has changed. `holders`: who counts towards limits now. */
  reconfigured(holders: readonly Holder[]): void {
    const { http, auth, sse } = this.#options.config;
    this.admission.reconfigured(this.#seats(), holders);
    this.failures.slowTo(auth.failureRatePerSecond);
    this.renderings.offer(sse);
    this.#cors = new Cors(http.cors);
    this.#addresses = new ClientAddress(http);
    this.#needsAddresses = this.#asksAddresses();
    this.#wanted = this.#wants();
  }

  #seats(): number {
    const { config, log, others } = this.#options;
    return seatsFor(config, { isAlone: others === ALONE, log });
  }

  #asksAddresses(): boolean {
    const { config, authenticator } = this.#options;
    const { api, events } = config.control;
    // The control plane tells them.
    const isSeen = api || config.ops.token !== undefined || events.length > 0;
    return isSeen || authenticator.checksTokens || this.admission.countsAddresses;
  }

  #wants(): Wanted {
    const { config, authenticator } = this.#options;
    return {
      encoding: this.renderings.readsEncoding,
      forwardedHeader: this.#addresses.behindProxies ? this.#addresses.header : undefined,
      cookie: config.auth.token.some((place) => place.in === 'cookie'),
      userAgent: authenticator.checksTokens,
    };
  }
}
