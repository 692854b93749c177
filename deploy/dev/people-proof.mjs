// The half of `npm run demo -- --once` that is about people: who is there, what waits for them, what an operator does.
import { expectThat, print } from './proving.mjs';
import { readEvents } from './sse-reader.mjs';

const ROOM = 'chat-lobby';

/** Somebody with a browser, or what is needed of one. */
class Visitor {
  #urls;
  #cookie = '';
  #leave = new AbortController();
  /** All that the stream has told. */
  #told = [];
  /** Those who wait for more of it. */
  #waiting = [];
  #failure;
  user = '';

  constructor(urls) {
    this.#urls = urls;
  }

  async signIn(name) {
    const answer = await this.post('session', { name });
    const cookie = answer.headers.get('set-cookie');
    expectThat(
      answer.status === 200 && cookie !== null,
      `the backend answered ${answer.status} to a sign-in`,
    );
    expectThat(/; HttpOnly/.test(cookie), `the token is in a cookie that scripts can read: ${cookie}`);
    this.#cookie = cookie.split(';')[0];
    this.user = (await answer.json()).user;
  }

  /** What the page posts to the backend. */
  post(path, fields) {
    return fetch(this.#urls.page + path, { method: 'POST', body: new URLSearchParams(fields) });
  }

  /** What the page asks of Sidestream, with its cookie. */
  async ask(path, options = {}) {
    const headers = { origin: new URL(this.#urls.page).origin, cookie: this.#cookie, ...options.headers };
    const answer = await fetch(this.#urls.events + path, { ...options, headers });
    expectThat(answer.ok, `${path} answered ${answer.status}`);
    const mayRead = answer.headers.get('access-control-allow-credentials');
    expectThat(
      mayRead === 'true',
      `the page may not read ${path}: Access-Control-Allow-Credentials is ${mayRead}`,
    );
    return answer;
  }

  async open(channels, signal) {
    const answer = await this.ask(`?channels=${channels}`, {
      signal: AbortSignal.any([signal, this.#leave.signal]),
      headers: { accept: 'text/event-stream' },
    });
    this.#listen(answer).catch((error) => {
      this.#failure = error; // of who left it is not looked at
      this.#wake();
    });
    await this.untilTold('sidestream.open');
  }

  leave() {
    this.#leave.abort();
  }

  #wake() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  async #listen(answer) {
    for await (const event of readEvents(answer)) {
      this.#told.push({ ...event, value: event.data.startsWith('{') ? JSON.parse(event.data) : undefined });
      this.#wake();
    }
    throw new Error(`${this.user}'s stream ended`);
  }

  /** What an event of that name said, and forgets it. */
  async untilTold(name, isIt = () => true) {
    for (;;) {
      const index = this.#told.findIndex(({ event, value }) => event === name && isIt(value));
      if (index >= 0) {
        const [event] = this.#told.splice(index, 1);
        print(ROOM, event);
        return event.value;
      }
      if (this.#failure !== undefined) throw this.#failure;
      await new Promise((resolve) => this.#waiting.push(resolve));
    }
  }
}

/** Whether it is told of that user, in the room. */
const isOf =
  ({ user }) =>
  ({ channel, members }) =>
    channel === ROOM && members.some((member) => member.user === user);

/** Somebody comes, is seen, and goes. */
async function proveWhoIsThere(ada, urls, signal) {
  const bob = new Visitor(urls);
  await bob.signIn('Bob');
  await bob.open(ROOM, signal);
  await ada.untilTold('sidestream.join', isOf(bob));
  const { members } = await (await ada.ask(`/${ROOM}/presence`)).json();
  const names = members.map(({ claims }) => claims?.name);
  expectThat(
    names.includes('Ada') && names.includes('Bob'),
    `in the lobby are ${names.join(', ')}, not Ada and Bob`,
  );
  bob.leave();
  await ada.untilTold('sidestream.leave', isOf(bob));
}

async function notify(visitor, priority) {
  const { status } = await visitor.post('notify', { user: visitor.user, priority });
  expectThat(status === 200, `the backend answered ${status} to a notice`);
}

/** Notices are counted, listed with the urgent one first, and read. */
async function proveInbox(ada) {
  const inbox = `/user-${ada.user}-notices/inbox`;
  await notify(ada, 'normal');
  await notify(ada, 'urgent');
  await ada.untilTold('notice');
  await ada.untilTold('sidestream.unread', ({ unread }) => unread >= 2);
  const { list } = await (await ada.ask(`${inbox}?order=priority`)).json();
  expectThat(list[0]?.priority === 'urgent', `first of what is unread is ${JSON.stringify(list[0])}`);
  const body = JSON.stringify({ read: { all: true } });
  await ada.ask(inbox, { method: 'POST', body, headers: { 'content-type': 'application/json' } });
  await ada.untilTold('sidestream.unread', ({ unread }) => unread === 0);
}

/** An operator sees the streams, puts one on another channel, and ends it. */
async function proveOperator(ada, urls) {
  const { list } = await (await fetch(`${urls.page}stats`)).json();
  expectThat(
    list?.some(({ user }) => user === ada.user),
    `the operator sees ${JSON.stringify(list)}, and no stream of ${ada.user}`,
  );
  const moved = await ada.post('move', { user: ada.user, room: 'attic' });
  expectThat(moved.status === 200, `the backend answered ${moved.status} to a move`);
  await ada.untilTold('sidestream.subscribed', ({ channels }) => channels[0]?.channel === 'chat-attic');
  await ada.post('disconnect', { user: ada.user });
  await ada.untilTold('sidestream.close', ({ reason }) => reason === 'disconnected');
}

/**
 * @param {import('./parts.mjs').Urls} urls
 * @param {AbortSignal} signal
 * @throws {SetupError} saying what was not as it should be
 */
export async function provePeople(urls, signal) {
  const ada = new Visitor(urls);
  await ada.signIn('Ada');
  await ada.open(`${ROOM},user-${ada.user}-notices`, signal);
  await Promise.all([proveWhoIsThere(ada, urls, signal), proveInbox(ada)]);
  await proveOperator(ada, urls);
}
