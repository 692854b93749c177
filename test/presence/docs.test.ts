import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { PRESENCE_CODES, PresenceResource } from '../../src/presence/resource.ts';
import { REFUSAL_CODES } from '../../src/reasons.ts';
import { Router } from '../../src/routing/router.ts';
import { routeConfig } from '../support/route.ts';

const docs = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');
const page = docs('presence.md');
/** Status of each refusal of a stream. */
const statuses = new Map(
  [...docs('wire.md').matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \|/gm)].map(([, code = '', status]) => [
    code,
    Number(status),
  ]),
);

/** Status and meaning of each refusal that the page has. */
const table = new Map(
  [...page.matchAll(/^\| `([A-Z_]+)` \| (\d{3}) \| (.*) \|$/gm)].map(
    ([, code = '', status, meaning]) => [code, { status: Number(status), meaning }] as const,
  ),
);

describe('the page on presence', () => {
  it('has every code of its own with its meaning, and of others none that there is not', () => {
    const own = [...table].filter(([code]) => code.startsWith('PRESENCE_'));
    expect(own.map(([code, { meaning }]) => [code, meaning])).toEqual(Object.entries(PRESENCE_CODES));
    for (const [code, { status }] of table) {
      if (code in PRESENCE_CODES) continue;
      expect([code, code in REFUSAL_CODES, statuses.get(code)]).toEqual([code, true, status]);
    }
  });

  it('says with which status a wrong limit is refused', async () => {
    const destination = new Router({ a: routeConfig({ channel: 'a', subject: 'a' }) }).resolve('a');
    if (destination === undefined) throw new TypeError('there is no such channel');
    const resource = new PresenceResource({
      isShown: () => true,
      page: (channel) => ({ channel, count: 0, members: [] }),
    });
    const answer = await resource.answer({ destination, query: new URLSearchParams('limit=1001') });
    expect(answer).toMatchObject({
      status: table.get('PRESENCE_INVALID')?.status,
      body: { error: { code: 'PRESENCE_INVALID' } },
    });
  });
});
