import { existsSync } from 'node:fs';
import { type Browser, chromium } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const file = process.env.CHROMIUM_BIN ?? PLACES.find((place) => existsSync(place));

/** Why no test in a browser can run here, or `undefined` where they can. */
export const noChromium: string | undefined =
  process.env.SIDESTREAM_NO_CHROMIUM ?? (file === undefined ? 'there is no Chromium' : undefined);

if (noChromium !== undefined) console.warn(`The tests in a browser were not run: ${noChromium}.`);

/** As root, as in a container, Chromium has no sandbox; the rest keeps it from calling home. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** A browser of the machine's own; the caller closes it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ ...(file !== undefined && { executablePath: file }), args: ARGS });
}
