// The stream that the page reads, with a browser's EventSource: it reconnects by itself, and resumes.
import * as bell from './bell.js';
import * as chat from './chat.js';
import { byId, notice, show } from './dom.js';
import * as market from './market.js';
import { me, onAnotherName, signIn } from './me.js';
import { watchOperator } from './operator.js';
import { watchOrders } from './orders.js';

let source;
let opened = 0;
let events = 0;
/** Whether the stream was ended for good, and not by its token's age. */
let isSentAway = false;

function onOpen({ data }) {
  const { connection, channels } = JSON.parse(data);
  byId('connection').textContent = connection;
  notice(`open: ${channels.map(({ channel, resume }) => `${channel} ${resume}`).join(', ')}`);
}

function onGap({ data }) {
  const { channel, reason } = JSON.parse(data);
  notice(`gap: ${channel} missed something (${reason}); a page would fetch its state again now`);
}

function onClose({ data }) {
  const { reason, retry, reconnect } = JSON.parse(data);
  isSentAway = reconnect === false;
  const next = isSentAway ? ', for good' : retry === undefined ? '' : `, coming back in ${retry} ms`;
  notice(`close: ${reason}${next}`);
}

const STREAM = { 'sidestream.open': onOpen, 'sidestream.gap': onGap, 'sidestream.close': onClose };

/** What each part of the page does about which event. */
const PARTS = [STREAM, market.LISTENERS, chat.LISTENERS, bell.LISTENERS];

function onEvent(event) {
  events += 1;
  byId('events').textContent = events;
  for (const listeners of PARTS) listeners[event.type]?.(event);
}

/** To an EventSource a refusal is final: of a token that is too old, say, after a laptop slept. */
function onRefused() {
  show(isSentAway ? 'sent away: reload the page' : 'refused');
  if (!isSentAway) setTimeout(enter, 1000 + Math.random() * 1000);
}

function open() {
  source?.close();
  isSentAway = false;
  const channels = [...market.CHANNELS, ...chat.CHANNELS, bell.channel()];
  source = new EventSource(`${me.events}?channels=${channels}`, { withCredentials: true });
  const own = source;
  own.onopen = () => {
    show('open');
    byId('reconnects').textContent = opened;
    opened += 1;
  };
  own.onerror = () => (own.readyState === EventSource.CLOSED ? onRefused() : show('reconnecting'));
  for (const name of new Set(PARTS.flatMap(Object.keys))) own.addEventListener(name, onEvent);
}

/** Signs in, and opens the stream as who that is. */
async function enter() {
  await signIn();
  open();
}

watchOrders();
watchOperator();
onAnotherName(() => {
  opened = 0;
  enter();
});
await enter();
