// What an operator sees and does, by the backend, which calls Sidestream's control plane.
import { ask, byId, element, post } from './dom.js';

const EVERY_MS = 2000;

/** What is shown of the answer of `stats`. */
const NUMBERS = {
  Instances: ({ each }) => each.length,
  Streams: ({ connections }) => connections.total,
  Users: ({ users }) => users.count,
  Channels: ({ channels }) => channels.occupied,
  'Events a second': ({ rates }) => Math.round(rates.over10s.deliveries),
};

function showStats(stats) {
  const parts = Object.entries(NUMBERS).map(([label, read]) => {
    const part = document.createElement('div');
    part.append(element('dt', label), element('dd', read(stats)));
    return part;
  });
  byId('stats').replaceChildren(...parts);
}

/** One line for each user: how many streams, and the rooms they are in. */
function usersOf(list) {
  const users = new Map();
  for (const { user, channels } of list) {
    if (user === undefined) continue;
    const { streams, rooms } = users.get(user) ?? { streams: 0, rooms: [] };
    users.set(user, { streams: streams + 1, rooms: [...rooms, ...channels.filter(isRoom)] });
  }
  return [...users].sort().map(([user, { streams, rooms }]) => {
    const where = [...new Set(rooms)].join(', ') || 'in no room';
    return { user, text: `${user}: ${streams} ${streams === 1 ? 'stream' : 'streams'}, ${where}` };
  });
}

const isRoom = (channel) => channel.startsWith('chat-');

/** Changed only where something is new, and who is chosen stays: whoever is choosing is not disturbed. */
function showUsers(present) {
  const whom = byId('whom');
  const chosen = whom.value;
  const isAway = chosen !== '' && !present.some(({ user }) => user === chosen);
  const users = isAway ? [...present, { user: chosen, text: `${chosen}: away` }] : present;
  if (users.map(({ text }) => text).join() === [...whom.options].map(({ text }) => text).join()) return;
  const options = users.map(({ user, text }) => Object.assign(element('option', text), { value: user }));
  whom.replaceChildren(...options);
  if (chosen !== '') whom.value = chosen;
}

async function look() {
  const answer = document.hidden ? undefined : await ask('stats-problem', 'stats');
  if (answer !== undefined) {
    showStats(answer);
    showUsers(usersOf(answer.list));
  }
  setTimeout(look, EVERY_MS);
}

export function watchOperator() {
  for (const button of document.querySelectorAll('[data-do]')) {
    const { do: path, ...fields } = button.dataset;
    button.addEventListener('click', () =>
      post('operator-problem', path, { user: byId('whom').value, ...fields }),
    );
  }
  return look();
}
