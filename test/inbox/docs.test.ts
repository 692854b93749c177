import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { INBOX_CODES, type InboxCode, InboxRefusal } from '../../src/inbox/refusal.ts';
import { InboxResource } from '../../src/inbox/resource.ts';
import { Router } from '../../src/routing/router.ts';
import { routeConfig } from '../support/route.ts';

const page = readFileSync(new URL('../../docs/inbox.md', import.meta.url), 'utf8');
const CODES = Object.keys(INBOX_CODES) as InboxCode[];

/** Status and meaning of each code, as the page has them. */
const table = new Map(
  [...page.matchAll(/^\| `(INBOX_[A-Z]+)` \| (\d+) \| (.*) \|$/gm)].map(
    ([, code, status, meaning]) => [code, { status: Number(status), meaning }] as const,
  ),
);

describe('the page on inboxes', () => {
  it('has every code with its meaning, and none besides', () => {
    expect([...table].map(([code, { meaning }]) => [code, meaning]).sort()).toEqual(
      Object.entries(INBOX_CODES).sort(),
    );
  });

  it.each(CODES)('says with which status %s comes', async (code) => {
    const destination = new Router({ a: routeConfig({ channel: 'a', subject: 'a' }) }).resolve('a');
    if (destination === undefined) throw new TypeError('there is no such channel');
    const refuse = () => Promise.reject(new InboxRefusal(code, 'why'));
    const resource = new InboxResource({ serves: () => true, unread: refuse, pending: refuse, read: refuse });
    const query = new URLSearchParams();
    expect(await resource.answer({ method: 'GET', destination, query, body: undefined })).toEqual({
      status: table.get(code)?.status,
      body: { error: { code, message: 'why' } },
    });
  });
});
