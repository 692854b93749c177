// What a block costs: `npm run build`, then `node test/bench/blocks.mjs`. The figures of docs/compression.md.
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const built = new URL('../../dist/protocol/compression.js', import.meta.url);
if (!existsSync(fileURLToPath(built))) throw new Error('run `npm run build` first');
const { findCoding } = await import(built.href);
const { Rendering } = await import(new URL('rendering.js', built).href);

const SIZES = [100, 150, 200, 300, 500, 1024, 4096, 16_384, 65_536];
/** Different payloads of each size: one alone would be foretold by the processor. */
const VARIANTS = 20;
const ROUNDS = 7;

/** Drawn from a fixed seed, so that every run has the same payloads. */
let seed = 1;
function draw(below) {
  seed = (Math.imul(seed, 1_103_515_245) + 12_345) >>> 0;
  return Math.floor((seed / 2 ** 32) * below);
}

const WORDS =
  'pending shipped delivered Berlin Hamburg invoice parcel order customer warehouse EUR USD'.split(' ');
const word = () => WORDS[draw(WORDS.length)];

/** A list of records as services publish them, as an event of about `size` bytes. */
function eventOf(size) {
  const head = `id: 26bad8da9e.${draw(1e6)}\nevent: price\ndata: `;
  const records = [];
  for (let length = head.length + 2; length < size; length += records.at(-1).length + 1) {
    const fields = { id: draw(1e9), status: word(), city: word(), price: draw(1e5) / 100 };
    records.push(JSON.stringify({ ...fields, note: `${word()} ${word()}`, at: 1.7e12 + draw(1e9) }));
  }
  return Buffer.from(`${`${head}[${records.join()}]`.slice(0, size - 2)}\n\n`);
}

/** Microseconds a call, the best of some rounds. */
function time(call, calls) {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const start = process.hrtime.bigint();
    for (let i = 0; i < calls; i += 1) call(i);
    best = Math.min(best, Number(process.hrtime.bigint() - start) / 1000 / calls);
  }
  return best;
}

console.log(`Node ${process.version}`);
for (const name of ['gzip', 'zstd']) {
  const coding = findCoding(name);
  if (coding === undefined) continue;
  console.log(`\n| bytes | ${name}: bytes | of the size | µs |\n|---|---|---|---|`);
  for (const size of SIZES) {
    const events = Array.from({ length: VARIANTS }, () => eventOf(size));
    const bytes = events.reduce((sum, event) => sum + coding.encode(event).bytes.length, 0) / VARIANTS;
    const micros = time((i) => coding.encode(events[i % VARIANTS]), Math.ceil(2e6 / (size + 2000)));
    console.log(
      `| ${size} | ${bytes.toFixed(0)} | ${((100 * bytes) / size).toFixed(0)} % | ${micros.toFixed(1)} |`,
    );
  }
}

const gzip = findCoding('gzip');
const rendering = new Rendering('sse', gzip);
const event = eventOf(500);
const ends = Array.from({ length: 1000 }, () => gzip.ending());
const nanos = (call) => (1000 * time(call, 100_000)).toFixed(0);
console.log(`\nper delivery: the block found ${nanos(() => rendering.of(event))} ns`);
console.log(
  `per delivery: the end kept up ${nanos((i) => ends[i % 1000].add(rendering.of(event)))} ns, the former included`,
);
