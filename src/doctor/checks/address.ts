import { BlockList, isIP, isIPv6 } from 'node:net';
import { type Finding, ok, problem, unmeasured, warning } from '../finding.ts';
import type { Path } from '../path.ts';
import { advice, type Intermediary } from '../proxy.ts';
import { whyNot } from '../refusal.ts';
import type { Stream } from '../stream.ts';
import { foreign } from '../words.ts';
import { noEvents } from './events.ts';

/** Nobody's: kept for documentation. RFC 5737 3. */
const FORGED = '203.0.113.77';

/** Networks that are not of the internet. RFC 1918, 6598, 3927, 1122, 4193, 4291. */
const INNER = [
  ['10.0.0.0', 8, 'ipv4'],
  ['172.16.0.0', 12, 'ipv4'],
  ['192.168.0.0', 16, 'ipv4'],
  ['100.64.0.0', 10, 'ipv4'],
  ['169.254.0.0', 16, 'ipv4'],
  ['127.0.0.0', 8, 'ipv4'],
  ['fc00::', 7, 'ipv6'],
  ['fe80::', 10, 'ipv6'],
  ['::1', 128, 'ipv6'],
] as const;

export interface AddressSeen {
  /** Why it could not be asked. */
  readonly why?: string;
  /** Ours, as the bridge has it; absent where it does not say. */
  readonly seen?: string | undefined;
  /** The same of a stream that came with a forged `X-Forwarded-For` and `Forwarded`. */
  readonly forged?: string | undefined;
  /** Of our connection: our own address on this machine, and whom we connected to. */
  readonly local: string;
  readonly remote: string;
}

type Ends = Pick<AddressSeen, 'local' | 'remote'>;

/** Asks the control plane from where the bridge sees `first`, and another one that says it is somebody else. */
export async function measureAddress(path: Path, first: Stream, ends: Ends): Promise<AddressSeen> {
  if (path.ops === undefined)
    return { ...ends, why: 'it takes the control plane: --ops and --ops-token-file' };
  const seen = await addressOf(path, first);
  if (typeof seen === 'string') return { ...ends, why: seen };
  const forger = path.open({ headers: { 'x-forwarded-for': FORGED, forwarded: `for=${FORGED}` } });
  await forger.until(forger.settledMs, path.patienceMs);
  const forged = await addressOf(path, forger);
  path.close(forger);
  return { ...ends, seen: seen.address, ...(typeof forged !== 'string' && { forged: forged.address }) };
}

async function addressOf(
  path: Path,
  stream: Stream,
): Promise<{ readonly address: string | undefined } | string> {
  if (path.ops === undefined || stream.open === undefined) return whyNot(stream);
  const outcome = await path.ops.connection(stream.open.connection);
  if (!outcome.ok) return noEvents(outcome.code);
  const { address } = outcome.answer;
  return { address: typeof address === 'string' ? address : undefined };
}

export function judgeAddress(
  { why, seen, forged, local, remote }: AddressSeen,
  proxy: Intermediary,
): Finding {
  if (why !== undefined) return unmeasured('address', why);
  if (seen === undefined) return unmeasured('address', 'the bridge does not say');
  const shown = foreign(seen);
  const values = { seen: shown };
  if (forged === FORGED)
    return problem(
      'address',
      `the bridge takes anybody’s word for who they are: a forged X-Forwarded-For was believed`,
      `have the proxy add the address it sees, behind what it was sent, or replace it; keep http.trustedProxies as narrow as the proxies are; ${advice(proxy, 'address')}`,
      values,
    );
  if (plain(seen) === plain(local)) return ok('address', `${shown}, as on this machine`, values);
  if (!isInner(seen))
    return ok('address', `${shown}: see that this is how the internet sees this machine`, values);
  const remedy = advice(proxy, 'address');
  if (!isInner(remote)) {
    const text = `${shown}: an address of your own network, most likely the proxy’s, for every client`;
    return problem('address', text, remedy, values);
  }
  const ifSo = `if that is the proxy, every client is that to limits and logs: ${remedy}`;
  return warning('address', `${shown}, though this machine is ${local}`, ifSo, values);
}

function isInner(address: string): boolean {
  const bare = plain(address);
  if (isIP(bare) === 0) return false;
  const inner = new BlockList();
  for (const [network, bits, family] of INNER) inner.addSubnet(network, bits, family);
  return inner.check(bare, isIPv6(bare) ? 'ipv6' : 'ipv4');
}

/** IPv4 as such, where it is written as IPv6 (RFC 4291 2.5.5.2); IPv6 in its shortest form: the bridge writes out every zero. */
function plain(address: string): string {
  const bare = address.replace(/%.*$/, '').replace(/^::ffff:(?=\d+\.)/i, '');
  return isIPv6(bare) ? new URL(`http://[${bare}]`).hostname.slice(1, -1) : bare;
}
