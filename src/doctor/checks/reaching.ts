import { type Fault, type Finding, judged, ok, problem, unmeasured, warning } from '../finding.ts';
import { advice, type Intermediary } from '../proxy.ts';
import type { Reach, TlsReach } from '../reach.ts';
import { foreign, plural, span } from '../words.ts';

/**
 * Below it a certificate that is renewed by a machine should have been: of 90 days with 30 left, of 6 with 3. The smaller of a number
 * of days and a part of its life.
 */
const FEW_DAYS = 14;
const FEW_OF_LIFE = 1 / 4;

export function judgeConnect({ addresses, lookupMs, connectMs, remoteAddress, failure }: Reach): Finding {
  if (connectMs !== undefined) {
    const others = addresses.length > 1 ? `, one of ${addresses.length} addresses` : '';
    return ok('connect', `${remoteAddress}${others}; name ${span(lookupMs)}, connection ${span(connectMs)}`, {
      addresses: addresses.length,
      lookupMs: Math.round(lookupMs),
      connectMs: Math.round(connectMs),
    });
  }
  const code = failure ?? 'UNKNOWN';
  if (addresses.length === 0)
    return problem(
      'connect',
      `the name does not resolve (${code})`,
      'see to its DNS record, or to its spelling',
    );
  return problem(
    'connect',
    `nothing takes connections at ${addresses.slice(0, 3).join(', ')} (${code})`,
    'see whether the proxy runs and listens there, and what firewalls and load balancers let through',
  );
}

export function judgeTls(tls: TlsReach | undefined, url: URL): Finding {
  if (url.protocol !== 'https:') {
    const measured =
      'the URL is http: tokens and events go over the wire as plain text, and browsers have no HTTP/2';
    const remedy = 'end TLS at the proxy, or set http.tls; pages served by https load no http stream';
    return warning('tls', measured, remedy);
  }
  if (tls === undefined) return unmeasured('tls', 'there was no connection');
  const { version = '', daysLeft, tookMs } = tls;
  const until = daysLeft === undefined ? '' : `, certificate good for ${plural(daysLeft, 'day')}`;
  const values = { tookMs: Math.round(tookMs), version, ...(daysLeft !== undefined && { daysLeft }) };
  return judged('tls', tlsFault(tls, until), `${version}${until}, handshake ${span(tookMs)}`, values);
}

function tlsFault(
  { version = '', failure = '', daysLeft, lifetimeDays = Infinity, isUnverified }: TlsReach,
  until: string,
): Fault | undefined {
  const why = foreign(failure);
  if (isUnverified)
    return ['warning', `${version}; not trusted (${why}), as --insecure allows`, 'browsers refuse it'];
  if (failure !== '' && version === '') {
    const remedy =
      'see whether that port speaks TLS, from version 1.2 on, and has a certificate for this name';
    return ['problem', `no handshake came about (${why})`, remedy];
  }
  if (failure !== '') {
    const remedy =
      'install the whole chain for this name; of an authority of your own: --ca FILE, to go on here';
    return ['problem', `not trusted: ${why}`, remedy];
  }
  if (daysLeft === undefined || daysLeft >= Math.min(FEW_DAYS, Math.floor(lifetimeDays * FEW_OF_LIFE)))
    return undefined;
  return ['warning', `${version}${until}`, 'see why it was not renewed'];
}

/** What `Alt-Svc` says of HTTP/3. RFC 9114 3.1.1. */
const HTTP3 = /(?:^|[,\s])h3(?:-\d+)?=/;

export function judgeVersion(protocol: string, altSvc: string, proxy: Intermediary): Finding {
  const http3 = HTTP3.test(altSvc);
  const values = { protocol, http3 };
  if (protocol === 'h2' || http3)
    return ok(
      'http-version',
      `${protocol === 'h2' ? 'HTTP/2' : 'HTTP/1.1'}${http3 ? ', HTTP/3 offered' : ''}`,
      values,
    );
  return warning(
    'http-version',
    'HTTP/1.1 only: a browser opens six connections to a host, in all its tabs; the seventh stream waits, and so do requests',
    `${advice(proxy, 'http2')}; or one stream for all channels of a page, in one tab for the others`,
    values,
  );
}
