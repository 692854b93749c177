// A chat room, and who is in it: asked for once, and from then on told by `sidestream.join` and `sidestream.leave`.
import { append, ask, byId, element, notice, parseOr, posts } from './dom.js';
import { me } from './me.js';

const MAX_SHOWN = 20;
const LOBBY = 'chat-lobby';
export const CHANNELS = [LOBBY];

let channel = LOBBY;
const roomOf = (name) => name.slice('chat-'.length);

/** The name of each who is here and was listed, by user. */
const names = new Map();
/** What was told while the list is being asked for: it may be newer than that. */
let untold;

/** Whoever has no token is nobody but a connection. */
const idOf = ({ user, id }) => user ?? id;
/** Of who leaves no claims are told. */
const nameOf = (member) => member.claims?.name ?? names.get(idOf(member)) ?? member.user ?? 'somebody';

function tell(isHere, { members, count }) {
  for (const member of members) {
    if (isHere) names.set(idOf(member), nameOf(member));
    else names.delete(idOf(member));
  }
  const shown = [...names.values()].slice(0, MAX_SHOWN);
  byId('online-count').textContent = count;
  byId('online').textContent =
    shown.join(', ') + (count > shown.length ? ` and ${count - shown.length} more` : '');
}

async function askWhoIsHere() {
  const asked = [];
  untold = asked;
  const url = `${me.events}/${channel}/presence`;
  const answer = await ask('say-problem', url, { credentials: 'include' });
  if (untold !== asked) return; // asked again since
  untold = undefined;
  names.clear();
  for (const [isHere, told] of [[true, answer ?? { members: [], count: 0 }], ...asked]) tell(isHere, told);
}

const onPresence = (isHere) => (event) => {
  const told = JSON.parse(event.data);
  if (told.channel !== channel) return;
  notice(`${isHere ? 'join' : 'leave'}: ${told.members.map(nameOf).join(', ')}`);
  if (untold === undefined) tell(isHere, told);
  else untold.push([isHere, told]);
};

/** A stream has the channels of its URL when it opens, and others while it is told so. */
function enter(name) {
  const room = roomOf(name);
  if (name !== channel) append(byId('chat'), element('p', `You are in the ${room} now.`, 'dim'));
  channel = name;
  byId('room-subject').textContent = `chat.room.${room}`;
  byId('text').placeholder = `Say something in the ${room}`;
  askWhoIsHere();
}

function onSubscribed({ data }) {
  const room = JSON.parse(data).channels.find(({ channel: name }) => name.startsWith('chat-'));
  if (room !== undefined) enter(room.channel);
}

function onChat({ data }) {
  const { from = 'somebody', text = data } = parseOr({ from: 'NATS' }, data);
  const item = element('p', '');
  item.append(element('strong', `${from}: `), element('span', text));
  append(byId('chat'), item);
}

const text = byId('text');
posts(
  'say',
  () => ({ from: me.name, room: roomOf(channel), text: text.value }),
  () => {
    text.value = '';
  },
);

export const LISTENERS = {
  chat: onChat,
  'sidestream.open': () => enter(LOBBY),
  'sidestream.subscribed': onSubscribed,
  'sidestream.join': onPresence(true),
  'sidestream.leave': onPresence(false),
};
