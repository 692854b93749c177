import type { Observed } from './observed.ts';
import type { Exposition } from './register.ts';

/** Tokens, revocations, and who is asked about them. */
export function exposeTokens(to: Exposition, observed: Observed): void {
  to.counts(
    'sidestream_token_checks_total',
    'Tokens that requests brought: known already, or to be checked.',
    ['result'],
    () => Object.entries(observed.tokenChecks()).map(([result, n]) => [{ result }, n]),
  );
  to.counts(
    'sidestream_auth_questions_total',
    'Questions sent to the services that say who may listen.',
    ['service'],
    observed.authQuestions,
  );
  to.counts(
    'sidestream_auth_faults_total',
    'Questions that such a service left without an answer of use.',
    ['service', 'fault'],
    observed.authFaults,
  );
  to.gauge('sidestream_revocations', 'Revocations remembered.', observed.revocations);
  to.gauge('sidestream_revocations_persistent', '1 while revocations are kept over restarts.', () =>
    Number(observed.controlBucketOpen()),
  );
  to.gauge(
    'sidestream_tickets_shared',
    '1 while one-time tickets that were used are told to every instance.',
    () => Number(observed.ticketsShared()),
  );
  to.counts(
    'sidestream_control_commands_total',
    'Commands over NATS: the operation, or why it was refused.',
    ['result'],
    () => [...observed.controlCommands()].map(([result, n]) => [{ result }, n]),
  );
  const keySets = (of: 'all' | 'failed') => () =>
    [...observed.keySets()].map(([url, counts]): [{ readonly url: string }, number] => [url, counts[of]]);
  to.counts(
    'sidestream_jwks_fetches_total',
    'Attempts to fetch a key set, by its URL.',
    ['url'],
    keySets('all'),
  );
  to.counts(
    'sidestream_jwks_failures_total',
    'Attempts to fetch a key set that failed, by its URL.',
    ['url'],
    keySets('failed'),
  );
}
