/** RFC 8259, as every browser reads it. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    // SyntaxError
    return false;
  }
}
