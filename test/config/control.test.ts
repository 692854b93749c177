import { expect, it } from 'vitest';
import { parse, problemsAtMarks } from './marked.ts';

const route = (subject: string, channel: string, prefix = 'sidestream') =>
  `control: { prefix: ${prefix} }\nchannels: { a: { channel: "${channel}", access: public, subject: ▶"${subject}" } }\n`;

it('a route that takes what instances tell each other is found, and told with the subject that it takes', () => {
  expect(problemsAtMarks(route('sidestream.{what}.>', '{what}'))).toEqual([
    'channels.a.subject: takes what instances tell each other on sidestream.api.> (control.prefix): give one of the two another subject',
  ]);
  for (const [subject, part, channel] of [
    ['sidestream.control.{what}', 'control', '{what}'],
    ['sidestream.peer.>', 'peer', 'peers'],
    ['{a}.control.*', 'control', '{a}'],
    ['{a}.{b}.{c}', 'api', '{a}.{b}.{c}'],
    ['*.*.{c}', 'api', '{c}'],
  ] as const)
    expect(problemsAtMarks(route(subject, channel)), subject).toEqual([
      expect.stringContaining(`sidestream.${part}.>`),
    ]);
  expect(problemsAtMarks(route('acme.live.api.{what}', '{what}', 'acme.live'))).toHaveLength(1);
});

it('a route beside them is none of their business', () => {
  for (const [subject, channel] of [
    ['sidestream.chat.{room}', '{room}'],
    ['sidestream.event.>', 'events'],
    ['sidestreams.api.{room}', '{room}'],
    ['sidestream.api', 'api'],
    ['{a}.{b}', '{a}.{b}'],
    ['{a}.orders.>', '{a}'],
  ] as const)
    expect(() => parse(route(subject, channel).replace('▶', '')), subject).not.toThrow();
  expect(() => parse(route('sidestream.api.{what}', '{what}', 'acme').replace('▶', ''))).not.toThrow();
});
