/** What `doctor` takes, as `parseArgs` of node:util wants it. */
export const DOCTOR_OPTIONS = {
  token: { type: 'string' },
  'token-file': { type: 'string' },
  cookie: { type: 'string' },
  header: { type: 'string', multiple: true, default: [] as string[] },
  origin: { type: 'string' },
  idle: { type: 'string', default: '70s' },
  patience: { type: 'string', default: '10s' },
  streams: { type: 'string', default: '7' },
  ops: { type: 'string' },
  'ops-token-file': { type: 'string' },
  drain: { type: 'string' },
  ca: { type: 'string' },
  insecure: { type: 'boolean', default: false },
  json: { type: 'boolean', default: false },
} as const;
