import { setTimeout as sleep } from 'node:timers/promises';

const INTERVAL_MS = 5;
/** Below vitest's own time-out, so that the test says what it waited for. */
export const PATIENCE_MS = 15_000;

/**
 * Waits for something that nothing tells of: asks again and again until the answer is neither `undefined` nor false.
 * @throws Error naming `what`, where it does not come
 */
export async function poll<T>(
  what: string,
  ask: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const end = performance.now() + PATIENCE_MS;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined && answer !== false) return answer;
    if (performance.now() > end) throw new Error(`waited in vain for ${what}`);
    await sleep(INTERVAL_MS);
  }
}
