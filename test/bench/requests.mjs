// The child's side of the bench's conversation with its processes: `{ id, ask, ...}` in, `{ id, result | error }` out.

/**
 * Answers the requests that `handlers` names and leaves the others alone: several parts of a process may each answer
 * their own. The process ends with its parent.
 * @param {Record<string, (request: any) => unknown>} handlers
 */
export function answer(handlers) {
  process.on('message', async (request) => {
    const handler = handlers[request.ask];
    if (!handler) return;
    try {
      process.send({ id: request.id, result: await handler(request) });
    } catch (error) {
      process.send({ id: request.id, error: String(error?.stack ?? error) });
    }
  });
  process.on('disconnect', () => process.exit(0));
}
