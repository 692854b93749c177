// Reads a stream of Server-Sent Events from a fetch response: as much of WHATWG HTML 9.2.6 as a proof needs.

/** Lines as they come. Sidestream ends every line with LF, so CR is not looked for. */
async function* readLines(body) {
  let rest = '';
  for await (const text of body.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    yield* lines;
  }
}

/**
 * @typedef {{ event: string, data: string, id: string | undefined }} ServerSentEvent
 * @param {Response} response
 * @returns {AsyncGenerator<ServerSentEvent>} one after the other, until the server ends the stream
 * @throws {TypeError} when the connection breaks instead
 */
export async function* readEvents(response) {
  let fields = { event: 'message', data: [], id: undefined };
  for await (const line of readLines(response.body)) {
    if (line === '') {
      if (fields.data.length > 0) yield { ...fields, data: fields.data.join('\n') };
      fields = { event: 'message', data: [], id: undefined };
      continue;
    }
    const [, name, value] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
    if (name === 'data') fields.data.push(value);
    else if (name === 'event' || name === 'id') fields[name] = value;
  }
}
