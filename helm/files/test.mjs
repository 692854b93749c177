// What `helm test` runs, inside the cluster: whether the Services lead to bridges that are ready.
// OPS_URL, STREAMS_URL: the Services. CHANNEL: a public channel whose stream must open; empty: none.
const { OPS_URL, STREAMS_URL, CHANNEL } = process.env;
// The certificate is for the name by which browsers come, not for the Service's.
process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0';

async function ask(url, headers = {}) {
  return fetch(url, { headers, signal: AbortSignal.timeout(10_000) });
}

async function expectReady() {
  const response = await ask(`${OPS_URL}/readyz`);
  if (response.status !== 200)
    throw new Error(`/readyz answered ${response.status}: ${await response.text()}`);
}

/** A refusal of ours shows as well that the way is right; whatever else answers there sends no error of this form. */
async function expectBridge() {
  const response = await ask(`${STREAMS_URL}/helm-test-asks-for-no-channel`, { accept: 'application/json' });
  const { error } = await response.json().catch(() => ({}));
  if (error?.code === undefined)
    throw new Error(`${STREAMS_URL} is not Sidestream: it answered ${response.status}`);
}

async function expectStream() {
  const url = `${STREAMS_URL}/${CHANNEL}`;
  const response = await ask(url, { accept: 'text/event-stream' });
  if (response.status !== 200)
    throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
  let text = '';
  for await (const bytes of response.body) {
    text += Buffer.from(bytes).toString();
    if (text.includes('event: sidestream.open')) return;
    if (text.includes('event: sidestream.close')) break;
  }
  throw new Error(`${url} opened no stream: ${text}`);
}

await expectReady();
console.log('ready');
await expectBridge();
console.log('streams are served');
if (CHANNEL) {
  await expectStream();
  console.log(`${CHANNEL} opens`);
}
process.exit(0);
