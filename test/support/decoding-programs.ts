import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { zstd } from '../../src/protocol/zstd.ts';
import { DecodingClient, isThere, type StreamType } from './decoding-client.ts';
import { temporaryFile } from './folder.ts';

/** Hands on what zlib gives it, at once; is content only with a whole stream whose checksum and length are right. */
const PYTHON = `
import http.client, sys, zlib
port, path, *headers = sys.argv[1:]
client = http.client.HTTPConnection('127.0.0.1', int(port))
headers = dict(header.split(': ') for header in headers)
client.request('GET', path, headers={'Accept-Encoding': 'gzip', **headers})
response = client.getresponse()
assert response.headers['Content-Encoding'] == 'gzip', response.headers
decoder = zlib.decompressobj(wbits=31)
while data := response.read1():
    sys.stdout.buffer.write(decoder.decompress(data))
    sys.stdout.buffer.flush()
sys.exit('the end is missing' if not decoder.eof or decoder.unused_data else 0)
`;

/** net/http asks for gzip by itself and decodes it as it comes, with a check at the end. */
const GO = `package main

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
)

type flushed struct{}

func (flushed) Write(bytes []byte) (int, error) { return os.Stdout.Write(bytes) }

func main() {
	request, err := http.NewRequest("GET", "http://127.0.0.1:"+os.Args[1]+os.Args[2], nil)
	for _, header := range os.Args[3:] {
		name, value, _ := strings.Cut(header, ": ")
		request.Header.Set(name, value)
	}
	response, err := http.DefaultClient.Do(request)
	if err == nil && !response.Uncompressed {
		err = fmt.Errorf("not compressed")
	}
	if err == nil {
		_, err = io.Copy(flushed{}, response.Body)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
`;

export interface Wanted {
  readonly port: number;
  readonly path: string;
  readonly type?: StreamType;
  /** `Last-Event-ID`. */
  readonly cursor?: string;
}

/** A program that decodes a compressed stream as it comes. */
export interface Program {
  readonly name: string;
  readonly coding: 'gzip' | 'zstd';
  start(wanted: Wanted): DecodingClient;
}

interface Candidate {
  readonly name: string;
  readonly needs: readonly [program: string, versionArg?: string];
  readonly coding: 'gzip' | 'zstd';
  command(port: number, path: string, headers: readonly string[]): readonly [string, ...string[]];
}

const curl = (coding: 'gzip' | 'zstd'): Candidate => ({
  name: `curl, ${coding}`,
  needs: ['curl'],
  coding,
  command: (port, path, headers) => [
    ...(['curl', '--silent', '--show-error', '--no-buffer', '--compressed'] as const),
    ...[`Accept-Encoding: ${coding}`, ...headers].flatMap((header) => ['--header', header]),
    `http://127.0.0.1:${port}${path}`,
  ],
});

const CANDIDATES: readonly Candidate[] = [
  curl('gzip'),
  curl('zstd'),
  {
    name: 'Python, zlib',
    needs: ['python3'],
    coding: 'gzip',
    command: (port, path, headers) => ['python3', '-c', PYTHON, `${port}`, path, ...headers],
  },
  {
    name: 'Go, net/http',
    needs: ['go', 'version'],
    coding: 'gzip',
    command: (port, path, headers) => [goClient(), `${port}`, path, ...headers],
  },
];

function goClient(): string {
  const source = temporaryFile(GO, 'client.go');
  const program = join(source, '../client');
  const { status, stderr } = spawnSync('go', ['build', '-o', program, source], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`go build: ${stderr}`);
  return program;
}

/** What speaks against a program here. */
function obstacle({ name, needs, coding }: Candidate): string | undefined {
  if (!isThere(...needs)) return `${name}: there is no ${needs[0]}`;
  if (coding === 'gzip') return undefined;
  if (zstd === undefined) return `${name}: Node ${process.version} has no zstd`;
  const curlCan = /\bzstd\b/.test(spawnSync('curl', ['--version'], { encoding: 'utf8' }).stdout);
  return curlCan ? undefined : `${name}: this curl has no zstd`;
}

function toProgram({ name, coding, command }: Candidate): Program {
  return {
    name,
    coding,
    start({ port, path, type = 'text/event-stream', cursor }) {
      const resume = cursor === undefined ? [] : [`Last-Event-ID: ${cursor}`];
      const [program, ...args] = command(port, path, [`Accept: ${type}`, ...resume]);
      return new DecodingClient(program, args, type);
    },
  };
}

/** Those that are here. */
export const PROGRAMS: readonly Program[] = CANDIDATES.filter((candidate) => {
  const why = obstacle(candidate);
  if (why !== undefined) console.warn(`Not tried with compressed streams: ${why}.`);
  return why === undefined;
}).map(toProgram);

/** Data that is stored, data that is compressed, and both in turn; over what decoders and proxies take at a time too. */
export const DATA = [
  '{"price":1}',
  JSON.stringify({ symbol: 'ACME', text: 'to be had again and again, '.repeat(20) }),
  '',
  JSON.stringify(
    Array.from({ length: 4000 }, (_, n) => ({ n, price: n * 17, side: n % 3 ? 'buy' : 'sell' })),
  ),
  '2',
  'ümläut — '.repeat(30),
];
