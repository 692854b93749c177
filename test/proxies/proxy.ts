import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { get } from 'node:https';
import { join } from 'node:path';
import { type Certificate, selfSigned } from '../support/certificate.ts';
import { type Child, type ChildOptions, findProgram, startChild } from '../support/child.ts';
import { temporaryFolder } from '../support/folder.ts';
import { freePort } from '../support/ports.ts';

const FOLDER = new URL('../../deploy/proxies/', import.meta.url);

/** What stands in a file of deploy/proxies, and what stands there in a test instead. */
export type Replacement = readonly [written: string, here: string];

/** Where things are in a test, in place of sidestream-1, :443 and /etc/sidestream/tls. */
export interface Places {
  /** A folder of the proxy's own, for its files and what it writes. */
  readonly folder: string;
  readonly certFile: string;
  readonly keyFile: string;
  /** Both in one file. */
  readonly bothFile: string;
  readonly tlsPort: number;
  readonly plainPort: number;
  readonly bridges: readonly [Address, Address];
  /** Of both bridges, which have addresses of their own. */
  readonly opsPort: number;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

/** A proxy that there is a config of in deploy/proxies. */
export interface ProxyKind {
  readonly name: string;
  /** The environment variable that names the program, and the program's own name. */
  readonly variable: string;
  readonly program: string;
  /** By file: every text of it that a test replaces, each of which must be there. Nothing else is changed. */
  readonly files: Readonly<Record<string, (places: Places) => readonly Replacement[]>>;
  /** How it is started with them. */
  start(places: Places): ChildOptions;
  /** How the file writes the times after which a quiet stream is given up; none where the proxy waits for ever. */
  readonly idle: readonly string[];
  /** Shorter times, where a test would wait for them: until a bridge that did not answer is asked again, or a request is given up. */
  readonly hurried: readonly Replacement[];
  /** How it writes the time that a request's head may take. */
  readonly head: string;
  /** Whether an HTTP/2 client can tell a stream that broke behind the proxy from one that came to its end. */
  readonly tellsCuts: boolean;
  /** Whether it writes a line for each request. */
  readonly logs: boolean;
  /** Whether it answers an EventSource in-band where no bridge answers. */
  readonly refusesInBand: boolean;
}

export interface ProxySetUp {
  readonly bridges: Places['bridges'];
  readonly opsPort: number;
  /** More to replace, in whichever file has it: shorter times. */
  readonly also?: readonly Replacement[];
}

/** A proxy that runs, on the very file that the documentation gives. */
export class RunningProxy {
  readonly tlsPort: number;
  readonly plainPort: number;
  /** PEM, of its own authority. */
  readonly ca: string;
  readonly #folder: string;
  readonly #program: Child;

  constructor({ tlsPort, plainPort, folder }: Places, { cert }: Certificate, program: Child) {
    this.tlsPort = tlsPort;
    this.plainPort = plainPort;
    this.ca = cert;
    this.#folder = folder;
    this.#program = program;
  }

  /** All that it wrote so far, and into its logs. */
  get logs(): string {
    const file = join(this.#folder, 'access.log');
    return this.#program.output + (existsSync(file) ? readFileSync(file, 'utf8') : '');
  }
}

/** Why a proxy's tests cannot run here, or `undefined` where they can. */
export function missing({ name, program, variable }: ProxyKind): string | undefined {
  const why = process.env[`SIDESTREAM_NO_${program.toUpperCase()}`];
  const reason = why ?? (findProgram(variable, program) === undefined ? `there is no ${program}` : undefined);
  if (reason !== undefined) console.warn(`The tests behind ${name} were not run: ${reason}.`);
  return reason;
}

/** The text of a file with each of the texts replaced wherever it stands. @throws Error where one does not stand in it */
export function replaceAll(text: string, replacements: readonly Replacement[]): string {
  return replacements.reduce((result, [written, here]) => {
    if (!result.includes(written)) throw new Error(`${JSON.stringify(written)} is not in the file`);
    return result.replaceAll(written, here);
  }, text);
}

/** Whether a bridge answers through it: that no channel was named. Some listen before they know where to. */
function passes({ tlsPort }: Places, { cert: ca }: Certificate): Promise<boolean> {
  return new Promise((resolve) => {
    const options = {
      port: tlsPort,
      ca,
      path: '/events',
      agent: false,
      headers: { Accept: 'application/json', Host: 'localhost' },
    };
    get({ host: '127.0.0.1', servername: 'localhost', ...options }, (response) => {
      response.resume();
      resolve(response.statusCode === 400);
    }).once('error', () => resolve(false));
  });
}

/** Starts it before two bridges; it is gone when the test is over. */
export async function startProxy(proxy: ProxyKind, setUp: ProxySetUp): Promise<RunningProxy> {
  const certificate = selfSigned();
  const folder = temporaryFolder();
  const bothFile = join(folder, 'both.pem');
  writeFileSync(bothFile, certificate.cert + readFileSync(certificate.keyFile, 'utf8'));
  const { bridges, opsPort, also = [] } = setUp;
  const { certFile, keyFile } = certificate;
  const [tlsPort, plainPort] = [await freePort(), await freePort()];
  const places = { folder, certFile, keyFile, bothFile, tlsPort, plainPort, bridges, opsPort };
  const pending = new Set(also);
  for (const [file, replacements] of Object.entries(proxy.files)) {
    const text = readFileSync(new URL(file, FOLDER), 'utf8');
    const more = also.filter(([written]) => text.includes(written));
    for (const replacement of more) pending.delete(replacement);
    writeFileSync(
      join(folder, file.split('/').at(-1) ?? file),
      replaceAll(text, [...more, ...replacements(places)]),
    );
  }
  if (pending.size > 0) throw new Error(`no file of ${proxy.name} has ${[...pending].join('; ')}`);
  const program = startChild(findProgram(proxy.variable, proxy.program) ?? '', proxy.start(places));
  await program.ready(`${proxy.name} to pass requests on`, () => passes(places, certificate));
  return new RunningProxy(places, certificate, program);
}
