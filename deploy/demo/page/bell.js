// Notices for this user, and how many are unread. They wait in a stream; here is only shown what Sidestream says of them.
import { ask, byId, element, notice, parseOr } from './dom.js';
import { me } from './me.js';

const MAX_SHOWN = 50;

export const channel = () => `user-${me.user}-notices`;
const inbox = () => `${me.events}/${channel()}/inbox`;
const bell = byId('bell');

async function showPending() {
  const url = `${inbox()}?order=priority&limit=${MAX_SHOWN}`;
  const answer = await ask('read-problem', url, { credentials: 'include' });
  if (answer === undefined) return;
  const items = answer.list.map(pendingItem);
  byId('pending').replaceChildren(
    ...(items.length > 0 ? items : [element('li', 'Nothing is unread.', 'dim')]),
  );
}

function pendingItem({ id, data, priority, time }) {
  const { text = data } = parseOr({}, data);
  const item = element('li', '', priority);
  const button = element('button', 'Read');
  button.addEventListener('click', () => markRead({ ids: [id] }));
  item.append(element('small', new Date(time).toLocaleTimeString(), 'dim'), element('span', text), button);
  return item;
}

/** All of this user's tabs are told what is left, this one too. */
function markRead(read) {
  const headers = { 'content-type': 'application/json' };
  const body = JSON.stringify({ read });
  return ask('read-problem', inbox(), { method: 'POST', credentials: 'include', headers, body });
}

function onUnread({ data }) {
  const { unread, more } = JSON.parse(data);
  byId('unread').textContent = more ? `${unread}+` : unread;
  byId('unread').hidden = unread === 0;
  if (!byId('inbox').hidden) showPending();
}

function onNotice({ data }) {
  notice(`for you: ${parseOr({}, data).text ?? data}`);
}

bell.addEventListener('click', () => {
  const isHidden = byId('inbox').toggleAttribute('hidden');
  bell.setAttribute('aria-expanded', !isHidden);
  if (!isHidden) showPending();
});

byId('read').addEventListener('submit', (event) => {
  event.preventDefault();
  markRead({ all: true });
});

export const LISTENERS = { notice: onNotice, 'sidestream.unread': onUnread };
