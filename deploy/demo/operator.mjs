// What an operator may do, for the page: calls of Sidestream's control plane. The token that they need stays here.

const PATIENCE_MS = 5000;

export class Operator {
  #url;
  #headers;

  /**
   * @param {string} ops where Sidestream's ops port is, such as http://127.0.0.1:9090
   * @param {string} token of `ops.token`
   */
  constructor(ops, token) {
    this.#url = `${ops}/api/`;
    this.#headers = { authorization: `Bearer ${token}`, 'sidestream-caller': 'demo-backend' };
  }

  /**
   * An operation that reads.
   * @param {Record<string, string>} [fields]
   */
  read(operation, fields = {}) {
    return this.#call(`${operation}?${new URLSearchParams(fields)}`, {});
  }

  /** An operation that acts or publishes. */
  act(operation, fields) {
    const body = JSON.stringify(fields);
    return this.#call(operation, { method: 'POST', body, type: { 'content-type': 'application/json' } });
  }

  /** @returns {Promise<[status: number, body: object]>} what Sidestream answered, and 502 where it did not */
  async #call(path, { method = 'GET', body, type }) {
    const request = { method, body, headers: { ...this.#headers, ...type } };
    try {
      const answer = await fetch(this.#url + path, { ...request, signal: AbortSignal.timeout(PATIENCE_MS) });
      return [answer.status, await answer.json()];
    } catch (error) {
      return [502, { error: { code: 'NO_ANSWER', message: `Sidestream did not answer: ${error.message}` } }];
    }
  }
}
