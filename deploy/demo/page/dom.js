// The page's elements. What comes from outside is only ever text, never markup.

const KEPT = 200; // lines of a log or a chat

export const byId = (id) => document.getElementById(id);

/** An element with text in it. */
export function element(name, text, className = '') {
  const made = document.createElement(name);
  made.textContent = text;
  made.className = className;
  return made;
}

/** The head and the cells of a table's row, put at its end. */
export function addRow(table, name, ...values) {
  const row = document.createElement('tr');
  const head = element('th', name);
  head.scope = 'row';
  const cells = values.map((value) => element('td', value));
  row.append(head, ...cells);
  table.append(row);
  return { row, cells };
}

/** Adds to a list that stays at its end, unless its reader has scrolled up. */
export function append(list, item) {
  const atEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 40;
  list.append(item);
  while (list.childNodes.length > KEPT) list.firstChild.remove();
  if (atEnd) list.scrollTop = list.scrollHeight;
}

export function notice(text) {
  append(byId('notices'), element('p', `${new Date().toLocaleTimeString()}  ${text}`));
}

export function show(status, id = 'status') {
  byId(id).textContent = status;
  byId(id).className = status === 'open' ? 'open' : '';
}

/** The JSON object that `text` should be, or `fallback`: anybody can publish anything by hand. */
export function parseOr(fallback, text) {
  try {
    const value = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : fallback;
  } catch {
    return fallback; // SyntaxError
  }
}

/** What a request that was refused says why, in words of its own where it has some. */
async function refusalOf(response) {
  const { error } = parseOr({}, await response.text());
  return error?.message ?? `Not done: the answer was ${response.status}.`;
}

/**
 * Asks for something, and shows in `problem` what went wrong.
 * @param {string} problem an element's id
 * @returns {Promise<object | undefined>} the answer, which is JSON or of no interest; undefined where it was refused
 */
export async function ask(problem, url, options = {}) {
  let text = 'Not done: nobody answers.';
  let answer;
  try {
    const response = await fetch(url, options);
    if (response.ok) answer = parseOr({}, await response.text());
    text = response.ok ? '' : await refusalOf(response);
  } catch {
    // TypeError: the backend, or Sidestream, is away
  }
  byId(problem).textContent = text;
  return answer;
}

/** Posts fields as a form does. */
export const post = (problem, path, fields) =>
  ask(problem, path, { method: 'POST', body: new URLSearchParams(fields) });

/** Has a form's button post what `fields` gives to the path that is the form's id. */
export function posts(form, fields, done = () => {}) {
  byId(form).addEventListener('submit', async (event) => {
    event.preventDefault();
    if ((await post(`${form}-problem`, form, fields())) !== undefined) done();
  });
}
