import { spawn, spawnSync } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { onTestFinished } from 'vitest';
import type { Random } from '../stress/random.ts';
import { guard } from '../support/guard.ts';

/** What a reader reads from, at its pace. */
export interface Line {
  pause(): void;
  resume(): void;
}

export interface Listener {
  bytes(bytes: Buffer): void;
  /** The server closed the connection, in good order. */
  end(): void;
  fail(error: Error): void;
}

/** Opens a line that sends a request to a port. It is gone when the test is over. */
export type OpenLine = (port: number, request: string, listener: Listener) => Line;

const SMALL_WINDOW = fileURLToPath(new URL('small-window.pl', import.meta.url));
const READ_BYTES = 64 * 1024;

/** A socket from which as many bytes are read at once as `nextBytes` says: a system call each. */
export function socketReading(nextBytes: () => number): OpenLine {
  return (port, request, listener) => {
    const buffer = Buffer.alloc(READ_BYTES);
    let isPaused = false;
    const socket = connect({
      host: '127.0.0.1',
      port,
      onread: {
        buffer: () => buffer.subarray(0, nextBytes()),
        callback: (length, bytes) => {
          listener.bytes(Buffer.from(bytes.subarray(0, length)));
          return !isPaused;
        },
      },
    });
    begin(socket, request, listener);
    return {
      pause: () => {
        isPaused = true;
        socket.pause();
      },
      resume: () => {
        isPaused = false;
        socket.resume();
      },
    };
  };
}

function begin(socket: Socket, request: string, listener: Listener): void {
  socket.on('error', (error) => listener.fail(error));
  socket.on('end', () => listener.end());
  onTestFinished(() => void socket.destroy());
  socket.write(request);
}

/** As it comes, over TLS: records of up to 16 KiB, and what is left of one where the server could not write all of it. */
export function throughTls(ca: string): OpenLine {
  return (port, request, listener) => {
    const socket = connectTls({ host: '127.0.0.1', port, ca, servername: 'localhost' });
    socket.on('data', (bytes) => listener.bytes(bytes));
    begin(socket, request, listener);
    return socket;
  };
}

export const bySixtyFourKiB = socketReading(() => READ_BYTES);

export const byOneByte = socketReading(() => 1);

/** Pieces of any size; by turns mostly tiny ones, and mostly large ones. */
export function byOddPieces(random: Random): OpenLine {
  return socketReading(() => 1 + random.below(random.chance(0.5) ? 300 : READ_BYTES));
}

/** By turns some 100 KiB byte by byte, and some MiB as they come: all of it byte by byte would take a minute. */
export function byOneByteForAWhile(): OpenLine {
  let left = 100_000;
  let size = 1;
  return socketReading(() => {
    left -= size;
    if (left <= 0) {
      size = size === 1 ? READ_BYTES : 1;
      left = size === 1 ? 100_000 : 4_000_000;
    }
    return size;
  });
}

/** Whether there is a Perl; Node cannot make a window small. */
export const hasSmallWindow = spawnSync('perl', ['-MSocket', '-e', '1']).status === 0;

/** A connection whose window is a few KiB from the start. */
export function throughSmallWindow(bytes: number): OpenLine {
  return (port, request, listener) => {
    const child = spawn('perl', [SMALL_WINDOW, `${port}`, `${bytes}`, request], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    guard(child);
    let complaint = '';
    child.stderr.on('data', (text: Buffer) => {
      complaint += text;
    });
    child.stdout.on('data', (piece: Buffer) => listener.bytes(piece));
    child.on('close', (code) => (code === 0 ? listener.end() : listener.fail(new Error(complaint))));
    onTestFinished(() => void child.kill('SIGKILL'));
    return { pause: () => child.stdout.pause(), resume: () => child.stdout.resume() };
  };
}
