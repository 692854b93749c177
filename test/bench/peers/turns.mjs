/**
 * Joins the texts that one turn of the event loop brings and hands them on once, as anybody would who writes to
 * thousands of connections: bursts that queue up behind a busy process become one write.
 * @param {(text: string) => void} send
 */
export function oncePerTurn(send) {
  let pending = '';
  return (text) => {
    if (pending === '') {
      setImmediate(() => {
        const all = pending;
        pending = '';
        send(all);
      });
    }
    pending += text;
  };
}
