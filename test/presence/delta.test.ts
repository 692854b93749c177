import { describe, expect, it } from 'vitest';
import {
  decodeMessage,
  encodeMessage,
  MESSAGE_BYTES,
  type PresenceMessage,
  portions,
} from '../../src/presence/delta.ts';
import type { ChannelChange } from '../../src/presence/table.ts';

const change = (channel: string, key: string, claims?: Record<string, unknown>): ChannelChange => ({
  channel,
  total: 7,
  change: { key, connections: 1, sinceMs: 5, claims },
});
const part = (channels: readonly object[]) =>
  ({
    kind: 'part',
    instance: 'a',
    question: 1,
    number: 2,
    part: 0,
    isLast: false,
    channels,
  }) as PresenceMessage;
const decoded = (value: unknown) => decodeMessage(Buffer.from(JSON.stringify(value)));

describe('a message about members', () => {
  it('is read as it was written', () => {
    const channels = [
      { channel: 'a', total: 2, changes: [{ key: 'u:é\n', connections: 0, sinceMs: -1, claims: undefined }] },
      { channel: 'b', total: 0, changes: [] },
    ];
    const messages: PresenceMessage[] = [
      { kind: 'ask', instance: 'a', question: 3 },
      { kind: 'delta', instance: 'a', number: 9, channels },
      part(channels),
    ];
    for (const message of messages)
      expect(decodeMessage(Buffer.from(encodeMessage(message)))).toEqual(message);
  });

  it.each([
    ['no JSON', '{'],
    ['not UTF-8', Buffer.from([0xff, 0xfe])],
    ['null', 'null'],
    ['a list', '[]'],
    ['nothing', ''],
    ['too large', `"${'x'.repeat(1024 * 1024)}"`],
  ])('is ignored where it is %s', (_, payload) => {
    expect(decodeMessage(Buffer.from(payload))).toBeUndefined();
  });

  it.each<[string, object]>([
    ['an unknown kind', { kind: 'x' }],
    ['a kind that every object has', { kind: 'constructor' }],
    ['no instance', { instance: undefined }],
    ['an instance that is none', { instance: 'a.*.>' }],
    ['a number that is text', { number: '1' }],
    ['a negative number', { number: -1 }],
    ['a number that is too large to count on', { number: 2 ** 53 }],
    ['no channels', { channels: undefined }],
    ['channels that are no list', { channels: { a: 1 } }],
    ['a channel that is no list', { channels: ['a'] }],
    ['a channel without a name', { channels: [[1, 1, []]] }],
    ['a total that is none', { channels: [['a', 0.5, []]] }],
    ['no changes', { channels: [['a', 1]] }],
    ['a change that is none', { channels: [['a', 1, [7]]] }],
    ['a key that is none', { channels: [['a', 1, [[null, 1, 0]]]] }],
    ['streams that are none', { channels: [['a', 1, [['u:1', -1, 0]]]] }],
    ['a time that no calendar has', { channels: [['a', 1, [['u:1', 1, 1e300]]]] }],
    ['claims that are no object', { channels: [['a', 1, [['u:1', 1, 0, [1]]]]] }],
    ['a part without a number', { kind: 'part', question: 1, isLast: true }],
    ['a part without a question', { kind: 'part', part: 0, isLast: true }],
    ['a part that is perhaps the last', { kind: 'part', question: 1, part: 0, isLast: 'yes' }],
    ['a question without a number', { kind: 'ask' }],
  ])('is ignored with %s', (_, fields) => {
    const good = { kind: 'delta', instance: 'a', number: 1, channels: [['a', 1, [['u:1', 1, 0]]]] };
    expect(decoded(good)).toBeDefined();
    expect(decoded({ ...good, ...fields })).toBeUndefined();
  });

  it('changes no prototype', () => {
    const text =
      '{"kind":"delta","instance":"a","number":1,"__proto__":{"x":1},"channels":[["__proto__",1,[["__proto__",1,0,{"__proto__":{"x":1}}]]]]}';
    expect(decodeMessage(Buffer.from(text))).toBeDefined();
    expect(Object.hasOwn(Object.prototype, 'x')).toBe(false);
  });
});

describe('portions', () => {
  it('hold everything, in order, each about as large as a message may be', () => {
    const all = Array.from({ length: 10_000 }, (_, index) =>
      change(`channel-${Math.floor(index / 3000)}`, `u:${index}`, { name: 'é'.repeat(index % 50) }),
    );
    const made = [...portions(all)];
    const keys = made.flatMap((portion) => portion.flatMap(({ changes }) => changes.map(({ key }) => key)));
    expect(keys).toEqual(all.map((one) => one.change.key));
    for (const channels of made.slice(0, -1)) {
      const bytes = Buffer.byteLength(encodeMessage(part(channels)));
      expect(bytes).toBeGreaterThan(MESSAGE_BYTES / 2);
      expect(bytes).toBeLessThan(MESSAGE_BYTES * 1.1);
    }
    expect(made.length).toBeGreaterThan(10);
  });

  it('stay below 256 KiB for many channels, and for members whose every character is escaped', () => {
    const channels = Array.from({ length: 5000 }, (_, index) => change('c'.repeat(200) + index, 'u:1'));
    const escaped = Array.from({ length: 5000 }, (_, index) =>
      change('a', `u:${'\u0001'.repeat(40)}${index}`),
    );
    for (const portion of [...portions(channels), ...portions(escaped)])
      expect(encodeMessage(part(portion)).length).toBeLessThan(256 * 1024);
  });

  it('are none where there are no changes; one that is larger than a message goes alone', () => {
    expect([...portions([])]).toEqual([]);
    const large = change('a', `u:${'x'.repeat(2 * MESSAGE_BYTES)}`);
    expect([...portions([large, large])].length).toBe(2);
  });

  it('take no change before it is put in', () => {
    let taken = 0;
    function* changes() {
      for (; taken < 100; taken += 1) yield change('a', `u:${taken}`);
    }
    const rest = portions(changes(), 100);
    const first = rest.next().value ?? [];
    expect(taken + 1).toBe(first[0]?.changes.length);
  });
});
