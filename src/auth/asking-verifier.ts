import { Failed } from './answer.ts';
import type { TokenRequest, Verification, Verifier } from './identity.ts';
import type { Question, Service, ServiceCounts } from './service.ts';

/** Longest token that anybody is asked about, in UTF-16 units; what HTTP servers take as headers is rarely more. */
export const MAX_TOKEN_LENGTH = 16_384;

/** Puts a question about a token into the service's words. */
export type Ask = (token: string, request: TokenRequest) => Question<Verification>;

/**
 * Checks tokens by asking a service. One question per token at a time: who brings the same token meanwhile shares the
 * answer, so it must be about the token and not about the request that happened to bring it first.
 */
export class AskingVerifier implements Verifier {
  readonly #service: Service<Verification>;
  readonly #ask: Ask;

  constructor(service: Service<Verification>, ask: Ask) {
    this.#service = service;
    this.#ask = ask;
  }

  get counts(): ServiceCounts {
    return this.#service.counts;
  }

  async verify(token: string, request: TokenRequest): Promise<Verification> {
    if (token === '' || token.length > MAX_TOKEN_LENGTH) {
      return { rejected: 'malformed', detail: `the token's length is ${token.length}` };
    }
    const answer = await this.#service.ask(token, this.#ask(token, request));
    if (!(answer instanceof Failed)) return answer;
    return { rejected: 'unavailable', detail: `${answer.fault}: ${answer.detail}` };
  }
}
