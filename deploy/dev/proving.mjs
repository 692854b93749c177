// What both halves of the proof have in common.
import { SetupError } from './command.mjs';

export function expectThat(holds, what) {
  if (!holds) throw new SetupError(`The proof failed: ${what}`);
}

export function print(channel, { event, data }) {
  console.log(`${channel.padEnd(16)} event ${event.padEnd(16)} ${JSON.stringify(data)}`);
}
