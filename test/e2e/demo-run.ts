import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import { poll } from '../support/poll.ts';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/** A program of the checkout's, to be run by this Node. */
export function run(args: readonly string[], environment: NodeJS.ProcessEnv = {}) {
  // Not the developer's own server, and not as a script of the `npm test` that this may be.
  const { NATS_URL: _, npm_lifecycle_event: __, ...env } = process.env;
  const child = spawn(process.execPath, args, { cwd: ROOT, env: { ...env, ...environment } });
  onTestFinished(() => void child.kill('SIGKILL')); // the demo's own guard ends the rest
  const output = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    output.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output.stderr += text;
  });
  const ended = once(child, 'close').then(([code]: unknown[]) => code);
  return { child, output, ended };
}

/** `npm run demo`, which has printed where it is. */
export async function startDemo() {
  const demo = run(['deploy/dev/run.mjs', 'demo', '--verbose']);
  const page = await poll('the demo to say where it is', () => {
    if (demo.child.exitCode !== null) throw new Error(`it ended: ${demo.output.stderr}`);
    return /Open +(http:\S+)/.exec(demo.output.stdout)?.[1];
  });
  const [, storage = ''] = /Store Directory: +"(.+)\/jetstream"/.exec(demo.output.stderr) ?? [];
  onTestFinished(async () => {
    demo.child.kill('SIGINT');
    await demo.ended;
    rmSync(storage, { recursive: true, force: true }); // one that was killed could not
  });
  return { ...demo, page, storage, parts: partsOf(demo.output.stderr) };
}

/** The demo's processes, by name, as `--verbose` tells. */
function partsOf(output: string): Record<string, number> {
  const lines = output.matchAll(/^(\S+) +│ started as process (\d+)$/gm);
  return Object.fromEntries([...lines].map(([, name, pid]) => [name, Number(pid)]));
}
