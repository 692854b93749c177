import { describe, expect, it } from 'vitest';
import type { RouteConfig } from '../../src/config/schema.ts';
import { Router } from '../../src/routing/router.ts';
import { routeConfig } from '../support/route.ts';

function config(channel: string, subject: string, event?: string): RouteConfig {
  return routeConfig({ channel, subject, ...(event !== undefined && { event }) });
}

const router = new Router({
  prices: config('prices.{symbol}', 'market.prices.{symbol}', '{symbol}-tick'),
  all: config('prices-all', 'market.prices.>'),
  mail: config('user-{id}-mail', 'notify.{id}.*.mail'),
});

describe('the router', () => {
  it('finds the one route of a channel name, with parameters and subject', () => {
    expect(router.resolve('prices.ACME')).toMatchObject({
      route: { name: 'prices' },
      channel: 'prices.ACME',
      params: { symbol: 'ACME' },
      subject: 'market.prices.ACME',
    });
    expect(router.resolve('user-a-b-mail')).toMatchObject({
      route: { name: 'mail' },
      params: { id: 'a-b' },
      subject: 'notify.a-b.*.mail',
    });
  });

  it('finds channels without parameters', () => {
    expect(router.resolve('prices-all')).toMatchObject({
      route: { name: 'all' },
      params: {},
      subject: 'market.prices.>',
    });
  });

  it.each([
    '',
    'prices',
    'prices.',
    'prices.A.B',
    'prices.*',
    'prices.>',
    'prices-al',
    'prices-all2',
    'user--mail',
    'constructor',
    '__proto__',
  ])('finds none for %j', (channel) => {
    expect(router.resolve(channel)).toBeUndefined();
  });

  it('compiles event templates, and leaves them out where there are none', () => {
    const [prices, all] = router.routes;
    expect(
      prices?.event?.({ channel: '', subject: '', params: { symbol: 'ACME' }, header: () => undefined }),
    ).toBe('ACME-tick');
    expect(all?.event).toBeUndefined();
  });

  it('is not made where a template is not usable', () => {
    expect(() => new Router({ bad: config('{a}-{b}', '{a}.{b}') })).toThrow(
      expect.objectContaining({ code: 'TEMPLATE_INVALID' }),
    );
  });
});
