// Prices, a task, a log and settings: what is published is shown.
import { addRow, append, byId, parseOr, posts } from './dom.js';

const SYMBOLS = ['ACME', 'GLOBEX', 'INITECH', 'UMBRELLA'];
export const CHANNELS = [
  ...SYMBOLS.map((symbol) => `prices.${symbol}`),
  'calm-prices',
  'task-7',
  'logs-web-1',
  'settings-shop',
];

// Prices: the envelope names the subject, the last part of which is the symbol.
const rows = new Map(SYMBOLS.map((symbol) => [symbol, priceRow(symbol)]));

function priceRow(symbol) {
  const [price, calm, change] = addRow(byId('prices'), symbol, '–', '–', '').cells;
  return { first: undefined, last: undefined, price, calm, change };
}

/** The row and the price that an event tells, where it is one; counted. */
function readPrice({ data }, counter) {
  const { subject, data: value } = JSON.parse(data);
  byId(counter).textContent = Number(byId(counter).textContent) + 1;
  const row = rows.get(subject.split('.').at(-1));
  const price = Number(value);
  return row === undefined || Number.isNaN(price) ? {} : { row, price };
}

function onCalmPrice(event) {
  const { row, price } = readPrice(event, 'calm-events');
  if (row !== undefined) row.calm.textContent = price.toFixed(2);
}

function onPrice(event) {
  const { row, price } = readPrice(event, 'price-events');
  if (row === undefined) return;
  row.first ??= price;
  const isUp = price >= (row.last ?? price);
  row.price.textContent = `${isUp ? '▲' : '▼'} ${price.toFixed(2)}`;
  row.price.className = isUp ? 'up' : 'down';
  row.change.textContent = `${((price / row.first - 1) * 100).toFixed(2)} %`;
  row.last = price;
}

function onProgress({ data }) {
  const { percent = 0, step = '' } = parseOr({}, data);
  byId('progress').value = percent;
  byId('percent').textContent = percent;
  byId('step').textContent = step;
}

function onLog({ data }) {
  append(byId('logs'), document.createTextNode(`${data}\n`));
}

const settings = new Map(); // the row of each key

function onPut({ data }) {
  const { key, data: value } = JSON.parse(data);
  if (!settings.has(key)) settings.set(key, addRow(byId('settings'), key, ''));
  settings.get(key).cells[0].textContent = value;
}

function onDelete({ data }) {
  const { key } = JSON.parse(data);
  settings.get(key)?.row.remove();
  settings.delete(key);
}

/** A page that did not get just what it missed is sent the current values, which say nothing of keys that are gone. */
function onOpen({ data }) {
  const { channels } = JSON.parse(data);
  if (!channels.some(({ channel, resume }) => channel === 'settings-shop' && resume !== 'recovered')) return;
  settings.clear();
  byId('settings').replaceChildren();
}

const value = byId('value');
posts(
  'set',
  () => ({ name: byId('name').value, value: value.value }),
  () => {
    value.value = '';
  },
);

export const LISTENERS = {
  price: onPrice,
  'calm-price': onCalmPrice,
  'task-7': onProgress,
  log: onLog,
  put: onPut,
  delete: onDelete,
  'sidestream.open': onOpen,
};
