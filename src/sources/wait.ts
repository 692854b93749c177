import { Timer, type TimerWheel } from '../clock.ts';

/** Resolves after that long, or at once when `signal` says that nobody waits any more. */
export function wait(wheel: TimerWheel, delayMs: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const done = () => {
      wheel.cancel(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = new Timer({ onDue: done });
    wheel.schedule(timer, delayMs);
    signal.addEventListener('abort', done);
  });
}
