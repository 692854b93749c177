// Who this browser's visitor is: all tabs of one browser are one user, as they have one cookie.
import { byId, post } from './dom.js';

const KEY = 'name';
/** A token is good for a quarter of an hour. */
const RENEW_MS = 5 * 60_000;

/** Filled in by the first sign-in: `user` is the token's subject, `events` where streams are opened. */
export const me = { name: '', user: '', events: '' };

const guest = () => `Guest ${Math.floor(Math.random() * 1000)}`;

function remember(name) {
  localStorage.setItem(KEY, name);
  byId('your-name').value = name;
}

remember(localStorage.getItem(KEY) ?? guest());

/** Has the backend set a cookie with a new token; until it does, again and again. */
async function renew() {
  const answer = await post('session-problem', 'session', { name: localStorage.getItem(KEY) });
  if (answer !== undefined) return Object.assign(me, answer);
  await new Promise((resolve) => setTimeout(resolve, 1000 + Math.random() * 1000));
  return renew();
}

let signedIn = Promise.resolve();

/** One after the other: the cookie is of the last name, whichever answer was the faster. */
export function signIn() {
  signedIn = signedIn.then(renew);
  return signedIn;
}

/** @param {() => void} listener called when the visitor is somebody else, here or in another tab */
export function onAnotherName(listener) {
  byId('session').addEventListener('submit', (event) => {
    event.preventDefault();
    remember(byId('your-name').value.trim() || guest());
    listener();
  });
  addEventListener('storage', ({ key, newValue }) => {
    if (key !== KEY || newValue === null) return;
    byId('your-name').value = newValue;
    listener();
  });
}

// A stream ends with its token; the browser comes back by itself, with the token that the cookie has by then.
setInterval(signIn, RENEW_MS);

const another = new URL(location.href);
another.hostname = location.hostname === 'localhost' ? '127.0.0.1' : 'localhost';
byId('another').href = another;
