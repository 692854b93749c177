import { expect, it } from 'vitest';
import { type Asked, Gathering } from '../../src/workers/gathering.ts';

const NAME = 'sidestream_x_total';
const families = [
  { name: NAME, type: 'counter', help: 'Help.', samples: [{ name: NAME, labels: {}, value: 3 }] },
];

it('what a worker counted that goes while it is asked is shown once', async () => {
  const workers = new Set<Asked>();
  const gathering = new Gathering(workers);
  const stays: Asked = { number: 1, state: 'listening', families, ask: async () => ({ families }) };
  const goes: Asked = {
    ...stays,
    number: 2,
    ask: async () => {
      workers.delete(goes);
      gathering.gone(goes, { hasDied: true });
      return undefined;
    },
  };
  workers.add(stays).add(goes);
  const { text } = await gathering.metrics();
  expect(text).toContain(`\n${NAME} 6\n`);
  expect(text).toContain('\nsidestream_workers 1\n');
});

it('all workers are shown while all drain, and one that drains beside the one in its place is not', async () => {
  const name = 'sidestream_draining';
  const shown = (value: number) => [
    { name, type: 'gauge', help: 'Help.', samples: [{ name, labels: {}, value }] },
  ];
  const worker = (number: number, state: Asked['state']): Asked => {
    const of = shown(Number(state === 'draining'));
    return { number, state, families: of, ask: async () => ({ families: of }) };
  };
  const [drains, alsoDrains, listens] = [
    worker(1, 'draining'),
    worker(2, 'draining'),
    worker(1, 'listening'),
  ];
  expect((await new Gathering(new Set([drains, alsoDrains])).metrics()).text).toContain(`\n${name} 1\n`);
  expect((await new Gathering(new Set([drains, listens])).metrics()).text).toContain(`\n${name} 0\n`);
});
