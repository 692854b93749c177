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
