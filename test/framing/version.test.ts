import { expect, test } from 'vitest';
import { fileConfig } from '../support/bridge.ts';
import { serve } from '../support/cli.ts';

const EXPECTED = process.env.SIDESTREAM_EXPECTED_UWS;

// Where no other binary loads the bridge takes an older one: the tests would pass, and say nothing of the newer.
test.skipIf(EXPECTED === undefined)(`the bridge runs uWebSockets.js ${EXPECTED}`, async () => {
  const { cli } = await serve(fileConfig({}));
  expect((await cli.logged('listening')).uws).toBe(EXPECTED);
});
