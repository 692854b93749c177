/** What a browser's EventSource sends, near enough: every server has the same head to parse. */
const HEADERS = [
  'Host: 127.0.0.1',
  'Connection: keep-alive',
  'Cache-Control: no-cache',
  'User-Agent: Mozilla/5.0 (X11; Linux x64) bench',
  'Accept-Encoding: gzip, deflate, br, zstd',
  'Accept-Language: en-US,en;q=0.9',
];

/** @param {string} path @param {readonly string[]} more headers @param {string} accept media type */
export function requestHead(path, more = [], accept = 'text/event-stream') {
  return `GET ${path} HTTP/1.1\r\n${[`Accept: ${accept}`, ...HEADERS, ...more].join('\r\n')}\r\n\r\n`;
}
