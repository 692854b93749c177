// Orders, over a line of their own that can be cut. Their numbers go up by one, so that the page can count for itself what
// is missing and what came twice.
import { append, byId, element, notice, posts, show } from './dom.js';

const orders = { next: undefined, missing: 0, twice: 0, late: 0 };

function count(number) {
  if (orders.next !== undefined && number > orders.next) orders.missing += number - orders.next;
  if (number < orders.next) orders.twice += 1;
  orders.next = Math.max(orders.next ?? 0, number + 1);
  byId('count').textContent = `${orders.missing} missing, ${orders.twice} twice`;
}

function onOrder({ data }) {
  const { number, what, where } = JSON.parse(data);
  count(number);
  append(byId('orders'), element('p', `${number}  ${what} to ${where}`, orders.late > 0 ? 'late' : ''));
  orders.late = Math.max(0, orders.late - 1);
}

function onOpen({ data }) {
  const [{ resume, reason, replayed }] = JSON.parse(data).channels;
  orders.late = resume === 'recovered' ? replayed : 0;
  byId('verdict').textContent =
    `${resume}${reason === undefined ? '' : ` (${reason})`}, ${replayed} replayed`;
}

function onGap({ data }) {
  const { channel, reason } = JSON.parse(data);
  notice(`gap: ${channel} missed something (${reason}); a page would fetch its state again now`);
}

/** Nothing here reconnects, keeps a cursor or fills in: EventSource and Sidestream do. */
export function watchOrders() {
  const page = crypto.getRandomValues(new Uint32Array(1))[0].toString(36);
  const source = new EventSource(`orders?page=${page}`);
  const button = byId('cut').querySelector('button');
  source.onopen = () => {
    show('open', 'line');
    button.disabled = false;
  };
  source.onerror = () => {
    show(source.readyState === EventSource.CLOSED ? 'refused: reload the page' : 'reconnecting', 'line');
    button.disabled = true;
  };
  source.addEventListener('order', onOrder);
  source.addEventListener('sidestream.open', onOpen);
  source.addEventListener('sidestream.gap', onGap);
  posts('cut', () => ({ page }));
}
