/** What a browser's EventSource sends, near enough: every server has the same head to parse. */
const HEADERS = [
  'Host: 127.0.0.1',
  'Connection: keep-alive',
  'Cache-Control: no-cache',
  'Accept: text/event-stream',
  'User-Agent: Mozilla/5.0 (X11; Linux x64) bench',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-US,en;q=0.9',
];

/** @param {string} path @param {readonly string[]} more headers */
export function requestHead(path, more = []) {
  return `GET ${path} HTTP/1.1\r\n${[...HEADERS, ...more].join('\r\n')}\r\n\r\n`;
}
